"""Copies images to the sites' registries: content-addressed, so what is there already costs nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_infra.cloud import Cloud
from trihull_infra.errors import DeployError
from trihull_runtime.artifacts.registry import layout
from trihull_runtime.contract import EnvironmentReleases, Release, SiteOutputs

LAYOUT_SCHEME: Final = "oci-layout://"


@dataclass(frozen=True)
class SourceImage:
    """An image to publish: what it is called in messages, its OCI layout and its index digest."""

    what: str
    layout: Path
    digest: str


def images(releases: EnvironmentReleases, cloud: Cloud, folder: Path) -> Iterator[SourceImage]:
    """Give the images that a site needs.

    Args:
        releases: what the environment's sites shall serve.
        cloud: the site.
        folder: where the releases document lies; its paths are relative to that.

    Raises:
        ContractError: a `release.json` cannot be read.
        DeployError: a `release.json` is not the one that was released.
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
        yield SourceImage(model, path.parent / release.image.layout, chosen.index_digest)
    if releases.router is not None:
        yield SourceImage("router", folder / releases.router.layout, releases.router.index_digest)


def publish(site: SiteOutputs, wanted: list[SourceImage]) -> None:
    """Copy images to a site's registry.

    Raises:
        DeployError: the registry is one that trihull cannot push to yet; the message says what to do instead.
        TrihullError: an image is not whole.
    """
    if not site.registry.startswith(LAYOUT_SCHEME):
        commands = "; ".join(
            f"skopeo copy --all oci:{image.layout} docker://{site.registry}@{image.digest}" for image in wanted
        )
        raise DeployError(
            f"{site.registry} is a registry on the network, which trihull does not push to yet: push the images "
            f"yourself ({commands}) and run again with --no-publish"
        )
    for image in wanted:
        layout.copy(image.layout, Path(site.registry.removeprefix(LAYOUT_SCHEME)), image.digest)
