"""What every cloud is asked for; each cloud's own part stands in `providers/<cloud>/spec.py`."""

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import Field, ValidationInfo, field_validator

from trihull_infra import naming, regions
from trihull_infra.cloud import Cloud
from trihull_infra.spec.base import Overrides, Spec, different
from trihull_runtime.contract.codec import NAME

REGION: Final = r"^[a-z][a-z0-9-]+$"


class SiteSpec(Spec):
    """A site, whoever made what it stands on."""

    region: str = Field(pattern=REGION, description="the cloud's name of a region")
    residency: str = Field(pattern=rf"^{NAME}$", description="a short name of where data stays, such as eu")
    priority: int = Field(default=0, ge=0, le=127, description="a whole number from 0 (first choice) to 127")
    weight: int = Field(
        default=100, ge=1, le=1000, description="a whole number from 1 to 1000: the share inside a priority"
    )

    # What a cloud calls the account in an environment file.
    account_key: ClassVar[str] = "account"

    @property
    def account(self) -> str:
        """Return the only account, project, subscription or cluster that this site may touch."""
        raise NotImplementedError

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Return the zones that the site is spread over; none where that is not ours to say."""
        return ()

    @property
    def own_tags(self) -> Mapping[str, str]:
        """Return tags of this cloud alone."""
        return {}

    @property
    def changes(self) -> Overrides:
        """Return the arguments that the escape hatch sets."""
        return {}

    @property
    def image_pull_secrets(self) -> tuple[str, ...]:
        """Return the Secrets of namespace trihull that pods pull with; none where nodes have an identity for it."""
        return ()

    @property
    def load_balancer_annotations(self) -> dict[str, str]:
        """Return annotations of Services of type LoadBalancer that this site asks for, beside the cloud's own."""
        return {}

    def agent_image(self, agent: str) -> str | None:
        """Return the image, by digest, that this site names for an agent of the cluster; None when it names none."""
        return None

    def runs_already(self, agent: str) -> bool:
        """Return whether somebody else runs an agent in this site's cluster, so that none of ours is wanted."""
        return False

    def node_selector(self, pool: str) -> dict[str, str]:
        """Return the labels of the nodes that a pool's workloads run on."""
        return {naming.POOL_LABEL: pool}


class ProvisionedSpec(SiteSpec):
    """A site whose network, cluster and storage trihull makes, or is given by name (`existing`)."""

    # Of a cloud without instance types: it needs no row in data/machines.toml.
    machines_of_any_size: ClassVar[bool] = False

    unlisted: tuple[str, ...] = Field(
        default=(),
        description=(
            "a list of what is newer than trihull's tables and meant as it stands: region, kubernetes_version; "
            "each repeated here in quotes"
        ),
    )
    zones: tuple[str, ...] = Field(min_length=2, max_length=3, description="two or three zones of the region")
    administrators: tuple[str, ...] = Field(
        min_length=1, description="who administers the cluster: a list of the cloud's own principals"
    )
    overrides: Overrides = Field(
        default_factory=dict,
        description="the escape hatch: a type token or logical name, then arguments by the engine's names, and values",
    )

    @field_validator("zones")
    @classmethod
    def _no_zone_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return different("zones", value)

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Return the zones."""
        return self.zones

    @property
    def changes(self) -> Overrides:
        """Return the arguments that the escape hatch sets."""
        return self.overrides


def region_to_hold(cloud: Cloud, info: ValidationInfo) -> str:
    """Return the region that zones must lie in; "" where it is wrong itself, so that it alone is told."""
    region, unlisted = info.data.get("region", ""), info.data.get("unlisted", ())
    return region if region in (*regions.REGIONS.get(cloud, (region,)), *unlisted) else ""


def zones_start_with(prefix: str, zones: tuple[str, ...]) -> tuple[str, ...]:
    """Return `zones`; raises ValueError when one does not lie in the region that `prefix` names."""
    for zone in zones:
        if prefix and (not zone.startswith(prefix) or zone == prefix):
            raise ValueError(f'expected zones of the region, such as {prefix}a, found "{zone}"')
    return zones
