"""Says what each site of an environment shall serve: writes `<environment>.releases.json`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trihull_infra import demands
from trihull_infra.deploy.context import Documents, write_if_changed
from trihull_infra.environment import Environment
from trihull_runtime.contract import (
    ContractError,
    EnvironmentReleases,
    Release,
    ReleasedRouter,
    RouterBuild,
    SiteRelease,
    Verdict,
)
from trihull_runtime.contract.manifest import MANIFEST_FILE, release_digest
from trihull_runtime.errors import InputError

ROUTER_FILE: Final = "router.json"  # of `trihull package --router`


def release(
    environment: Environment, documents: Documents, folders: Sequence[Path], router: Path | None
) -> EnvironmentReleases:
    """Choose releases for every site of an environment and write that down; returns the document.

    What a model served before stays accepted, so that sites may change one after the other: `up` narrows that when
    all have. Paths are written relative to the document.

    Args:
        environment: every cloud of it gets the releases.
        documents: where to write.
        folders: outputs of `trihull package`; the models named in none of them stay as they are.
        router: output of `trihull package --router`; None keeps the router as it is.

    Raises:
        ContractError: a document cannot be read.
        InputError: an evaluation failed, a release is not whole, or two are of one model. Nothing was written.
        SpecError: a release does not show what the environment demands. Likewise.
    """
    before = EnvironmentReleases.read(documents.releases) if documents.releases.exists() else None
    models = dict(before.models) if before is not None else {}
    accepted = dict(before.accepted) if before is not None else {}
    seen: dict[str, Path] = {}
    for folder in folders:
        read = _checked(folder)
        demands.check(
            environment.releases,
            environment.protect,
            environment.name,
            documents.folder,
            folder / "release.json",
            read,
        )
        name = read.model.name
        if name in seen:
            raise InputError(f"{seen[name]} and {folder} are both releases of {name}: choose one")
        seen[name] = folder
        site = SiteRelease(
            read.release_digest, read.image.index_digest, _relative(folder / "release.json", documents.folder)
        )
        models[name] = {cloud.value: site for cloud in environment.clouds}
        others = (digest for digest in accepted.get(name, ()) if digest != read.release_digest)
        accepted[name] = (read.release_digest, *others)
    released_router = before.router if before is not None else None
    if router is not None:
        if not (router / ROUTER_FILE).exists() and (router / "release.json").exists():
            raise InputError(f"{router} is a model's release, not the router's image: name it without --router")
        build = RouterBuild.read(router / ROUTER_FILE)
        layout = router / build.layout
        _whole(layout, router)
        released_router = ReleasedRouter(build.index_digest, _relative(layout, documents.folder))
    document = EnvironmentReleases(
        version=EnvironmentReleases.CURRENT,
        environment=environment.name,
        models=models,
        accepted=accepted,
        router=released_router,
    )
    write_if_changed(document, documents.releases)
    return document


def narrowed(releases: EnvironmentReleases) -> EnvironmentReleases:
    """Return the document with only those digests accepted that a site shall serve; for when all sites do."""
    accepted = {
        model: tuple(dict.fromkeys(site.release_digest for site in sites.values()))
        for model, sites in releases.models.items()
    }
    return EnvironmentReleases(
        version=releases.version,
        environment=releases.environment,
        models=releases.models,
        accepted=accepted,
        router=releases.router,
    )


def _checked(folder: Path) -> Release:
    if (folder / ROUTER_FILE).exists() and not (folder / "release.json").exists():
        raise InputError(f"{folder} is the router's image, not a model's release: say `--router {folder}`")
    read = Release.read(folder / "release.json")
    if read.evaluation.verdict is not Verdict.PASSED:
        missed = ", ".join(
            f"{gate.metric} is {gate.value:.4g}, at least {gate.minimum:.4g} was asked for"
            for gate in read.evaluation.gates
            if not gate.passed
        )
        raise InputError(f"{folder}: the evaluation of {read.model.name} failed ({missed}): it is not released")
    _whole(folder / read.image.layout, folder)
    manifest = folder / "model" / read.model.name / MANIFEST_FILE
    if manifest.exists() and release_digest(manifest.read_bytes()) != read.release_digest:
        problem = f"is not the manifest that {folder / 'release.json'} was made for: package the model again"
        raise ContractError(str(manifest), "", problem)
    return read


def _whole(layout: Path, folder: Path) -> None:
    if not (layout / "index.json").is_file():
        raise InputError(f"{folder} has no OCI layout at {layout}: package it again")


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
