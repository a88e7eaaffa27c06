"""Images of pods: always by digest, and where those of the cluster's agents come from (`data/images.toml`)."""

import re
import tomllib
from pathlib import Path
from typing import Final

from trihull_infra.errors import SpecError
from trihull_infra.program import Program

DATA: Final = Path(__file__).parent / "data" / "images.toml"
# Without a tag: what a tag names can change under running pods. `oci-layout://` is a folder on this machine.
BY_DIGEST: Final = re.compile(
    r"(oci-layout://[^@]+|[a-z0-9][a-z0-9.-]*((:[0-9]+)?(/[a-z0-9._-]+)+)?)@sha256:[0-9a-f]{64}"
)


def by_digest(image: str) -> str:
    """Return an image's reference; raises SpecError when it does not say by digest which image is meant."""
    if BY_DIGEST.fullmatch(image) is None:
        raise SpecError(f"image {image!r}: expected registry/repository@sha256:..., by digest and without a tag")
    return image


def of_agent(begun: Program, agent: str, key: str) -> str:
    """Return the image of an agent for the environment's Kubernetes version: the environment's own before the table's.

    Args:
        begun: the running program.
        agent: the table's name of it.
        key: what an environment names one with, for the message.

    Raises:
        SpecError: neither has one.
    """
    environment = begun.environment
    named = environment.site(begun.cloud).agent_image(agent)
    known = tomllib.loads(DATA.read_text(encoding="utf-8")).get(agent, {}).get(environment.kubernetes_version)
    if (found := named or known) is None:
        raise SpecError(
            f"{environment.name}.yaml: clouds.{begun.cloud}.{key}: is missing; no image of {agent} for Kubernetes "
            f"{environment.kubernetes_version} is known (data/images.toml), so name one by digest"
        )
    return by_digest(found)
