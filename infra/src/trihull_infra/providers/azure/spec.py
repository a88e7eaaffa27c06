"""What an environment asks of Azure, beside what it asks of every cloud."""

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from trihull_infra.spec.base import Spec
from trihull_infra.spec.sites import ProvisionedSpec

UUID: Final = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
GROUP: Final = r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers"
IMAGE: Final = r"^[a-z0-9.:-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$"
EXTERNAL: Final = "external"
TagName = Annotated[str, Field(pattern=r"^[^<>%&\\?/]{1,512}$")]
TagValue = Annotated[str, Field(pattern=r"^.{0,256}$")]


class ExistingNetwork(Spec):
    """A virtual network with a subnet for nodes; its way out (NAT gateway or firewall) is its owner's."""

    id: str = Field(pattern=rf"^{GROUP}/Microsoft\.Network/virtualNetworks/[^/]+$", description="the network's full id")
    subnet: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$", description="the name of its subnet for nodes")
    endpoints_subnet: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$",
        description="the name of its subnet for private endpoints; that for nodes when left out",
    )


class Existing(Spec):
    """What is there already and is used in place of something new."""

    network: ExistingNetwork | None = Field(default=None, description="a virtual network and its subnets")
    vault: str | None = Field(
        default=None, pattern=rf"^{GROUP}/Microsoft\.KeyVault/vaults/[^/]+$", description="the full id of a key vault"
    )
    key: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]{1,127}$",
        description="the name of a key in existing.vault, used for everything",
    )
    cluster: str | None = Field(
        default=None,
        pattern=rf"^{GROUP}/Microsoft\.ContainerService/managedClusters/[^/]+$",
        description="an AKS cluster's full id",
    )
    registry: str | None = Field(
        default=None,
        pattern=rf"^{GROUP}/Microsoft\.ContainerRegistry/registries/[^/]+$",
        description="a container registry's full id",
    )

    @field_validator("key")
    @classmethod
    def _in_a_known_vault(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("vault") is None:
            raise ValueError("expected existing.vault as well: the one that the key lies in")
        return value

    @field_validator("cluster")
    @classmethod
    def _in_a_known_network(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("network") is None:
            raise ValueError("expected existing.network as well: the one that the cluster stands in")
        return value


class AzureSpec(ProvisionedSpec):
    """A site on Azure; its zones are numbers in quotes."""

    account_key: ClassVar[str] = "subscription"

    zones: tuple[Annotated[str, Field(pattern=r"^[123]$", description='"1", "2" or "3"')], ...] = Field(
        min_length=2, max_length=3, description='two or three of "1", "2", "3"'
    )
    administrators: tuple[Annotated[str, Field(pattern=UUID)], ...] = Field(
        min_length=1, description="a list of Entra object ids (lower-case UUIDs): who administers the cluster"
    )
    subscription: str = Field(pattern=UUID, description="a subscription id (a lower-case UUID)")
    device_plugin: Annotated[str, Field(pattern=IMAGE)] | Literal["external"] | None = Field(
        default=None,
        description=(
            "the NVIDIA device plugin's image by digest (host/path@sha256:...), or the word external where the "
            "platform runs one already; needed where pools.accelerator is asked for"
        ),
    )
    tags: dict[TagName, TagValue] = Field(default_factory=dict, description="more tags, on this cloud only")
    existing: Existing = Field(
        default=Existing(), description="what is there already and is used in place of something new"
    )

    @field_validator("device_plugin", mode="before")
    @classmethod
    def _an_image_or_a_word(cls, value: object) -> object:
        """Tell of one mistake, where the union would tell of one for each of its members."""
        if value is None or (isinstance(value, str) and (value == EXTERNAL or re.fullmatch(IMAGE, value))):
            return value
        raise ValueError("expected the device plugin's image by digest (host/path@sha256:...), or the word external")

    @property
    def account(self) -> str:
        """Return the subscription's id."""
        return self.subscription

    def agent_image(self, agent: str) -> str | None:
        """Return the image that this site names for an agent."""
        return None if self.runs_already(agent) else {"device-plugin": self.device_plugin}.get(agent)

    def runs_already(self, agent: str) -> bool:
        """Return whether the platform runs an agent in this site's cluster."""
        return agent == "device-plugin" and self.device_plugin == EXTERNAL

    @property
    def own_tags(self) -> dict[str, str]:
        """Return tags of this cloud alone."""
        return self.tags


SPEC: Final = AzureSpec
