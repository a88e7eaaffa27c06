"""The smaller parts of an environment file: who reaches what, how long things are kept, how they are renewed."""

from typing import Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from trihull_infra import naming
from trihull_infra.spec.base import Cpu, Network, Spec, at_least, different, everybody

# What CloudWatch takes as a log group's retention and Azure's workspaces as well (30 to 730 days); Cloud Logging takes
# any number. Sources: AWS, PutRetentionPolicy; Azure, "Manage data retention in a Log Analytics workspace".
LogDays = Literal[30, 60, 90, 120, 150, 180, 365, 400, 545]
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class ApiServerSpec(Spec):
    """Who reaches the clusters' API servers over the internet; nobody when the list is empty."""

    open_to_everybody: bool = Field(
        default=False,
        description="true or false: whether everybody (0.0.0.0/0, ::/0) in authorised_networks is really meant",
    )
    authorised_networks: tuple[Network, ...] = Field(
        description="networks such as 203.0.113.7/32; [] for private access only"
    )

    @field_validator("authorised_networks")
    @classmethod
    def _not_everybody_unless_said(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        network = everybody(value)
        if network is not None and not info.data.get("open_to_everybody"):
            reach = "everybody" if network.endswith("/0") else "as good as everybody"
            raise ValueError(
                f"expected networks of your own, found {network}, which is {reach}; if that is meant, "
                "say `open_to_everybody: true`"
            )
        return different("networks", value)


class NetworkSpec(Spec):
    """The sites' networks."""

    private_endpoints: bool = Field(
        default=True, description="true or false: whether nodes reach registry, bucket and API without the internet"
    )
    flow_logs: bool = Field(default=True, description="true or false: whether connections are logged")


class KeysSpec(Spec):
    """What encrypts secrets, images, data and disks: keys of one's own, or the clouds'."""

    own: bool = Field(
        default=True, description="true or false: keys in your account; false for those that the cloud manages"
    )
    keep: bool = Field(
        default=True,
        description="true or false: whether keys stay in your account when they are switched off, or the site is gone",
    )
    rotation_days: int = Field(
        default=365,
        ge=90,
        le=730,
        description="a whole number from 90 to 730: after how many days a key gets a new version",
    )


class RetentionSpec(Spec):
    """For how long things are kept, in days."""

    logs_days: LogDays = Field(
        default=90, description="one of 30, 60, 90, 120, 150, 180, 365, 400, 545: logs and audit trail"
    )
    old_versions_days: int = Field(
        default=90, ge=1, le=365, description="a whole number from 1 to 365: replaced and deleted objects of the bucket"
    )
    captured_data_days: int = Field(
        default=365, ge=1, le=3650, description="a whole number from 1 to 3650: what serving captured of requests"
    )
    untagged_images_days: int = Field(
        default=14, ge=1, le=365, description="a whole number from 1 to 365: images that no tag and no index names"
    )


class UpgradesSpec(Spec):
    """How the managed parts of a cluster are kept up to date: patches inside a window, minor versions by this file."""

    automatic: Literal["patch", "none"] = Field(
        default="patch",
        description="patch (the clouds patch within kubernetes_version) or none where a cloud allows it",
    )
    days: tuple[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], ...] = Field(
        default=("saturday", "sunday"),
        min_length=1,
        description="a list of days on which work may begin, such as saturday",
    )
    start_utc: str = Field(
        default="02:00",
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description='when the window opens, such as "02:00"',
    )
    hours: int = Field(default=4, ge=4, le=24, description="a whole number from 4 to 24: how long the window is open")
    support: Literal["standard", "extended"] = Field(
        default="standard",
        description="standard, or extended: a minor version is kept, at a price, after its usual end",
    )

    @field_validator("days")
    @classmethod
    def _no_day_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return different("days", value)


class ServingSpec(Spec):
    """The models' replicas on each site, and what each of them is given."""

    replicas_min: int = Field(ge=1, le=1000, description="a whole number, at least 1")
    replicas_max: int = Field(ge=1, le=1000, description="a whole number, at least replicas_min")
    pool: Literal["serving", "accelerator"] = Field(default="serving", description="the pool that replicas run on")
    cpu: Cpu = Field(default="250m", pattern=r"^[1-9][0-9]*m?$", description="a CPU request such as 250m or 0.5 or 4")
    memory: str = Field(
        default="512Mi",
        pattern=r"^[1-9][0-9]*(Mi|Gi)$",
        description="request and limit, a whole number with its unit, such as 512Mi or 2Gi",
    )
    accelerators: int = Field(default=0, ge=0, le=16, description="a whole number: devices of each replica")

    @field_validator("replicas_max")
    @classmethod
    def _not_below_minimum(cls, value: int, info: ValidationInfo) -> int:
        return at_least("replicas_min", value, info)

    @field_validator("accelerators")
    @classmethod
    def _where_there_are_any(cls, value: int, info: ValidationInfo) -> int:
        if value and info.data.get("pool") == naming.POOL:
            raise ValueError("expected 0 on pool serving; say `pool: accelerator`")
        return value


class CiSpec(Spec):
    """Who deploys from CI: tokens of an OIDC issuer, exchanged for the cloud's own; no key is ever made."""

    issuer: str = Field(pattern=r"^https://[!-~]+[^/]$", description="the issuer's URL, without a slash at the end")
    subject: str = Field(
        min_length=1,
        pattern=r"^[!-)+-~]+$",
        description="the token's `sub`, whole and without *, such as repo:acme/models:environment:prod",
    )


class CertificatesSpec(Spec):
    """The sites' certificate authorities."""

    generation: int = Field(
        default=0,
        ge=0,
        le=9999,
        description="a whole number; one more replaces every site's authority without interruption",
    )


__all__ = [
    "ApiServerSpec",
    "CertificatesSpec",
    "CiSpec",
    "KeysSpec",
    "NetworkSpec",
    "RetentionSpec",
    "ServingSpec",
    "UpgradesSpec",
]
