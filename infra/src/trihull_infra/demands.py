"""What an environment demands of a release before any site of it serves that: a gate that was passed, and who says so.

It is looked up in the release's own OCI layout, on the machine that deploys: what is published is what was looked at.
"""

from pathlib import Path

import pydantic
from pydantic import ConfigDict, Field

from trihull_infra.errors import SpecError
from trihull_runtime.artifacts.evidence import signing, verify
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.contract import Release
from trihull_runtime.errors import InputError


class ReleasesSpec(pydantic.BaseModel):
    """The section `releases` of an environment."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    require_gate: bool | None = Field(
        default=None,
        description="true or false: whether only releases with a passed gate are served; `protect` when not given",
    )
    signed_by: tuple[str, ...] = Field(
        default=(), description="a list of public keys (PEM files beside the environment), one of which signed the gate"
    )

    @pydantic.model_validator(mode="after")
    def _signed_gates_are_gates(self) -> "ReleasesSpec":
        if self.signed_by and self.require_gate is False:
            raise ValueError("expected no signed_by where require_gate is false: a signature is asked of the gate")
        return self


def check(demanded: ReleasesSpec, protect: bool, name: str, folder: Path, release_path: Path, release: Release) -> None:
    """Refuse a release that an environment may not serve.

    Args:
        demanded: by the environment.
        protect: of the environment; it demands a gate unless `demanded` says otherwise.
        name: of the environment.
        folder: where its file lies; keys are relative to that.
        release_path: of the release document; its layout lies beside it.
        release: what that says.

    Raises:
        SpecError: a key cannot be read; the evidence is missing, is about another image, or its gate was not passed,
            each gate judged again from its numbers.
    """
    required = protect if demanded.require_gate is None else demanded.require_gate
    if not (required or demanded.signed_by):
        return
    file = folder / f"{name}.yaml"
    try:
        keys = [signing.load_public_key(folder / key) for key in demanded.signed_by]
    except InputError as error:
        raise SpecError(f"{file}: releases.signed_by: {error}") from error
    link = verify.gate(LayoutRegistry(release_path.parent / release.image.layout), release, keys)
    if not link.holds:
        why = "releases.signed_by" if keys else "releases.require_gate"
        why = why if demanded.require_gate is not None or keys else "protect: true"
        again = f"trihull package MODEL_DIR{' --sign KEY' if keys else ''}"
        raise SpecError(
            f"{release_path}: {release.model.name} may not be served in {name}, which demands a passed gate"
            f"{' signed by one of its keys' if keys else ''} ({file}: {why}): {link.detail}. Look at it with"
            f" `trihull verify {release_path}`, package it again with `{again}`, or release another one"
        )
