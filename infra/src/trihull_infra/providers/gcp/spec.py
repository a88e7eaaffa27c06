"""What an environment asks of Google Cloud, beside what it asks of every cloud."""

from typing import Annotated, ClassVar, Final

from pydantic import Field, ValidationInfo, field_validator

from trihull_infra.cloud import Cloud
from trihull_infra.spec.base import TAG_NAME, TAG_VALUE, Spec
from trihull_infra.spec.sites import ProvisionedSpec, region_to_hold, zones_start_with

NAME: Final = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
PROJECT: Final = r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$"


class ExistingNetwork(Spec):
    """A VPC with a subnet of the region and its secondary ranges; a shared VPC lies in a project of its own."""

    project: str | None = Field(default=None, pattern=PROJECT, description="the host project of a shared VPC")
    name: str = Field(pattern=NAME, description="a network's name")
    subnet: str = Field(pattern=NAME, description="the name of its subnet in the region")
    pods_range: str = Field(pattern=NAME, description="the name of the subnet's secondary range for pods")
    services_range: str = Field(pattern=NAME, description="the name of the subnet's secondary range for services")


class Existing(Spec):
    """What is there already and is used in place of something new."""

    network: ExistingNetwork | None = Field(default=None, description="a VPC and its subnet")
    key: str | None = Field(
        default=None,
        pattern=r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$",
        description="a key, projects/.../cryptoKeys/..., used for everything",
    )
    cluster: str | None = Field(default=None, pattern=NAME, description="the name of a GKE cluster of the region")
    registry: str | None = Field(
        default=None,
        pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="the id of an Artifact Registry repository",
    )

    @field_validator("cluster")
    @classmethod
    def _in_a_known_network(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("network") is None:
            raise ValueError("expected existing.network as well: the one that the cluster stands in")
        return value


class GcpSpec(ProvisionedSpec):
    """A site on Google Cloud."""

    account_key: ClassVar[str] = "project"

    administrators: tuple[
        Annotated[str, Field(pattern=r"^(user|group|serviceAccount|principal|principalSet):.+$")], ...
    ] = Field(min_length=1, description="a list of IAM members such as group:team@example.com: who administers")
    project: str = Field(pattern=PROJECT, description="a project id, 6-30 characters")
    dns_endpoint: bool = Field(
        default=False,
        description="true or false: whether the API server is also reached by GKE's DNS name, by IAM permission alone",
    )
    generation: int = Field(
        default=0,
        ge=0,
        le=9999,
        description=(
            "a whole number; one more before a destroyed site is made again: Google Cloud never frees the names of "
            "key rings, and for a while not those of log buckets and identity pools"
        ),
    )
    tags: dict[Annotated[str, Field(pattern=TAG_NAME)], Annotated[str, Field(pattern=TAG_VALUE)]] = Field(
        default_factory=dict, description="more labels, on this cloud only"
    )
    existing: Existing = Field(Existing(), description="what is there already and is used in place of something new")

    @property
    def account(self) -> str:
        """Return the project's id."""
        return self.project

    @property
    def own_tags(self) -> dict[str, str]:
        """Return labels of this cloud alone."""
        return self.tags

    @field_validator("zones")
    @classmethod
    def _zones_of_the_region(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        region = region_to_hold(Cloud.GCP, info)
        return zones_start_with(f"{region}-" if region else "", value)


SPEC: Final = GcpSpec
