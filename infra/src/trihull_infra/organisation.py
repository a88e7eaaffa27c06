"""What an organisation asks of every environment: `organisation.yaml` beside the folder of environments; may be absent.

It repeats here what the clouds' own policies enforce (AWS organizations, Google Cloud organization policies, Azure
Policy), so that an environment that they would stop half-way through a deploy is refused before it begins.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from trihull_infra import strict_yaml
from trihull_infra.cloud import Cloud
from trihull_infra.spec.base import TAG_NAME, Spec
from trihull_infra.spec.sites import REGION

if TYPE_CHECKING:
    from trihull_infra.environment import Environment

FILE: Final = "organisation.yaml"


class Organisation(Spec):
    """What every environment must keep to."""

    version: int = Field(default=1, ge=1, le=1, description="the number 1")
    required_tags: dict[Annotated[str, Field(pattern=TAG_NAME)], tuple[str, ...]] = Field(
        default_factory=dict,
        description="tags that every environment sets, each with the values allowed; [] for any",
    )
    regions: Mapping[Cloud, tuple[Annotated[str, Field(pattern=REGION)], ...]] = Field(
        default_factory=dict, description="the regions allowed on a cloud; any where a cloud is left out"
    )
    own_keys: bool = Field(default=False, description="true or false: whether keys.own must be true")
    private_endpoints: bool = Field(
        default=False, description="true or false: whether network.private_endpoints must be true"
    )
    private_api_servers: bool = Field(
        default=False, description="true or false: whether api_server.authorised_networks must be []"
    )

    def problems(self, asked: "Environment") -> list[str]:
        """Return what an environment asks for and may not: `key: what was expected`, in the order of its keys."""
        return list(self._problems(asked))

    def _problems(self, asked: "Environment") -> Iterator[str]:
        for name, allowed in self.required_tags.items():
            value = asked.labels.get(name)
            wanted = f"expected one of {', '.join(allowed)}" if allowed else "expected a value"
            if value is None or (allowed and value not in allowed):
                found = "none" if value is None else value
                key = name if name in ("owner", "cost_centre") else f"tags.{name}"
                yield f"{key}: {wanted}, found {found} ({FILE}: required_tags)"
        for cloud in asked.clouds:
            allowed = self.regions.get(cloud, ())
            if allowed and asked.site(cloud).region not in allowed:
                found = asked.site(cloud).region
                yield f"clouds.{cloud}.region: expected one of {', '.join(allowed)}, found {found} ({FILE}: regions)"
        if self.private_api_servers and asked.api_server.authorised_networks:
            yield f"api_server.authorised_networks: expected [] ({FILE}: private_api_servers)"
        if self.private_endpoints and not asked.network.private_endpoints:
            yield f"network.private_endpoints: expected true ({FILE}: private_endpoints)"
        if self.own_keys and not asked.keys.own:
            yield f"keys.own: expected true ({FILE}: own_keys)"


def load(environments: Path) -> Organisation:
    """Read `organisation.yaml` beside the folder of environments; one that asks for nothing when there is none.

    Raises:
        SpecError: it is not YAML, or not what it must say.
    """
    path = environments.parent / FILE
    return strict_yaml.read(path, Organisation, {}) if path.is_file() else Organisation()
