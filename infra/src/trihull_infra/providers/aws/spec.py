"""What an environment asks of AWS, beside what it asks of every cloud."""

from typing import Annotated, Final

from pydantic import Field, ValidationInfo, field_validator

from trihull_infra.cloud import Cloud
from trihull_infra.spec.base import Spec
from trihull_infra.spec.sites import ProvisionedSpec, region_to_hold, zones_start_with

ARN: Final = r"^arn:aws[a-z-]*:"
TagName = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _.:/=+@-]{1,128}$")]
TagValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _.:/=+@-]{0,256}$")]
SubnetId = Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")]


class ExistingNetwork(Spec):
    """A VPC with its subnets, one private one for each zone; routes and NAT are its owner's."""

    id: str = Field(pattern=r"^vpc-[0-9a-f]{8,17}$", description="a VPC's id, such as vpc-0a1b2c3d")
    private_subnets: tuple[SubnetId, ...] = Field(min_length=2, max_length=3, description="ids, one for each of zones")
    public_subnets: tuple[SubnetId, ...] = Field(
        default=(), max_length=3, description="ids, where load balancers may stand"
    )


class Existing(Spec):
    """What is there already and is used in place of something new."""

    network: ExistingNetwork | None = Field(default=None, description="a VPC and its subnets")
    key: str | None = Field(
        default=None, pattern=rf"{ARN}kms:.+:key/.+$", description="the ARN of a KMS key, used for everything"
    )
    cluster: str | None = Field(
        default=None, pattern=r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", description="an EKS cluster's name"
    )
    registry: str | None = Field(
        default=None, pattern=r"^[a-z0-9][a-z0-9._/-]{1,255}$", description="an ECR repository's name"
    )
    ci_issuer: str | None = Field(
        default=None,
        pattern=rf"{ARN}iam::.+:oidc-provider/.+$",
        description="the ARN of the account's OIDC provider for CI",
    )

    @field_validator("cluster")
    @classmethod
    def _in_a_known_network(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("network") is None:
            raise ValueError("expected existing.network as well: the one that the cluster stands in")
        return value


class AwsSpec(ProvisionedSpec):
    """A site on AWS."""

    administrators: tuple[
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$")],
        ...,
    ] = Field(min_length=1, description="a list of ARNs of IAM roles or users: who administers the cluster")
    account_id: str = Field(alias="account", pattern=r"^[0-9]{12}$", description="a 12-digit account number, in quotes")
    node_autoscaler: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9.:-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$",
        description="Cluster Autoscaler's image, by digest; needed where data/images.toml has none of the version",
    )
    tags: dict[TagName, TagValue] = Field(default_factory=dict, description="more tags, on this cloud only")
    existing: Existing = Field(
        default=Existing(), description="what is there already and is used in place of something new"
    )

    @property
    def account(self) -> str:
        """Return the account number."""
        return self.account_id

    def agent_image(self, agent: str) -> str | None:
        """Return the image that this site names for an agent."""
        return {"node-autoscaler": self.node_autoscaler}.get(agent)

    @property
    def own_tags(self) -> dict[str, str]:
        """Return tags of this cloud alone."""
        return self.tags

    @field_validator("zones")
    @classmethod
    def _zones_of_the_region(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return zones_start_with(region_to_hold(Cloud.AWS, info), value)

    @field_validator("existing")
    @classmethod
    def _a_subnet_for_each_zone(cls, value: Existing, info: ValidationInfo) -> Existing:
        zones = info.data.get("zones", ())
        if value.network is not None and zones and len(value.network.private_subnets) != len(zones):
            raise ValueError(f"expected existing.network.private_subnets to be {len(zones)}, one for each of zones")
        return value


SPEC: Final = AwsSpec
