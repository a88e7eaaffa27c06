"""Copies images to the sites' registries: content-addressed, so what is there already costs nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trihull_infra import demands
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment
from trihull_infra.errors import DeployError
from trihull_runtime.artifacts.publishing import run
from trihull_runtime.artifacts.publishing.run import Outcome, Source
from trihull_runtime.contract import EnvironmentReleases, Release


def images(environment: Environment, releases: EnvironmentReleases, cloud: Cloud, folder: Path) -> Iterator[Source]:
    """Give the images that a site needs.

    Args:
        environment: says what it demands of releases.
        releases: what its sites shall serve.
        cloud: the site.
        folder: where the releases document lies; its paths are relative to that.

    Raises:
        ContractError: a `release.json` cannot be read.
        DeployError: a `release.json` is not the one that was released.
        SpecError: it does not show what the environment demands.
    """
    for model, sites in sorted(releases.models.items()):
        chosen = sites.get(cloud.value)
        if chosen is None:
            continue
        path = folder / chosen.path
        release = Release.read(path)
        if (release.release_digest, release.image.index_digest) != (chosen.release_digest, chosen.index_digest):
            raise DeployError(
                f"{path} holds release {release.release_digest[:19]}, but {chosen.release_digest[:19]} was released "
                f"for {model} on {cloud}: package it again or run `trihull release {releases.environment}` with it"
            )
        demands.check(environment.releases, environment.protect, environment.name, folder, path, release)
        yield Source(model, path.parent / release.image.layout, chosen.index_digest)
    if releases.router is not None:
        yield Source("router", folder / releases.router.layout, releases.router.index_digest)


def publish(
    wanted: Mapping[Cloud, Sequence[Source]],
    registries: Mapping[Cloud, str],
    note: Callable[[str], None],
    going_on: Callable[[], bool],
) -> dict[Cloud, Outcome]:
    """Copy images to the sites' registries, side by side; a site that fails does not stop the others.

    Args:
        wanted: site -> the images that it needs.
        registries: site -> its registry, as SiteOutputs has it.
        note: told of every large blob, a line each.
        going_on: asked before every image.
    """

    def one(cloud: Cloud) -> Outcome:
        (outcome,) = run.to_all(wanted[cloud], {cloud.value: registries[cloud]}, note, going_on)
        return outcome

    with ThreadPoolExecutor(max(1, len(registries))) as pool:
        return dict(zip(registries, pool.map(one, registries), strict=True))
