"""The pipeline: from a model's folder to a release, from nothing to the router's image."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_packaging import cache, output, spec
from trihull_packaging.base import apt, debian, given
from trihull_packaging.base.image import Base
from trihull_packaging.oci.layers import Layer
from trihull_packaging.progress import Progress
from trihull_packaging.steps import convert, evaluate, index, layers, parity, release, train
from trihull_runtime.artifacts.registry.blobs import document_bytes
from trihull_runtime.artifacts.registry.layout import host_platform
from trihull_runtime.contract.codec import write_file
from trihull_runtime.contract.release import Image, Release

SERVER_PORTS: Final = (8080, 8082)
ROUTER_PORTS: Final = (8080, 8083)


@dataclass(frozen=True)
class Options:
    """What the command line may say: a base of one's own, and whether to look for newer packages of the other."""

    base: str | None = None
    refresh_base: bool = False


@dataclass(frozen=True)
class RouterImage:
    """The router's image: its index's digest and its platforms."""

    index_digest: str
    platforms: tuple[str, ...]


def package_model(model: Path, target: Path, options: Options, progress: Progress) -> Release:
    """Package a model.

    Args:
        model: a folder with `model.yaml`.
        target: where the release goes; replaced as a whole, and only when everything went well.
        options: see `Options`.
        progress: told of every step.

    Raises:
        TrihullError: as the steps raise it; `target` is then as it was before.
    """
    wanted = spec.load(model)
    architecture = host_platform().partition("/")[2]
    reference, folder = (options.base, Path()) if options.base is not None else (wanted.base, model)
    _check_base(reference, folder, architecture)
    with output.replacing(target) as partial, _scratch(partial) as scratch:
        with progress.step("train", f"{wanted.train.script} in an environment of its own") as note:
            trained = train.run(wanted, model, scratch)
            note.text = trained.said
        with progress.step("convert", f"{wanted.artifact} to ONNX") as note:
            graph = convert.run(wanted, trained, scratch)
            note.text = f"{graph.stat().st_size / 1000:.1f} kB"
        with progress.step("parity", "trained against converted model") as note:
            answers, differences = parity.run(wanted, trained, graph, scratch)
            worst = max(found.probability for found in differences.values())
            rows = sum(found.rows for found in differences.values())
            note.text = f"{rows} rows, labels equal, probabilities within {worst:.1e}"
        with progress.step("evaluate", "metrics of the test split against their gates") as note:
            evaluation = evaluate.run(wanted, trained, answers, scratch)
            note.text = ", ".join(f"{name} {value:.4f}" for name, value in evaluation.metrics.items())
        with progress.step("layers", "base, dependencies, runtime, model") as note:
            below = layers.environment(_base(reference, folder, architecture, options), "server")
            packed = layers.model_layer(wanted, graph, below, scratch)
            all_layers = (*below.layers, packed.layer)
            note.text = _sizes(all_layers)
        with progress.step("index", "OCI image layout") as note:
            labels = {
                "org.opencontainers.image.title": wanted.name,
                "org.opencontainers.image.version": wanted.version,
                "dev.trihull.release": packed.release_digest,
            }
            digest = index.run(
                partial / release.LAYOUT, all_layers, architecture, "trihull_runtime.server", SERVER_PORTS, labels
            )
            note.text = digest
        with progress.step("release", "release.json") as note:
            image = Image(digest, (f"linux/{architecture}",), release.LAYOUT)
            made = release.run(wanted, packed, answers, evaluation, image, partial)
            note.text = made.release_digest
    return made


def package_router(target: Path, options: Options, progress: Progress) -> RouterImage:
    """Package the router's image; arguments and errors as of `package_model`."""
    architecture = host_platform().partition("/")[2]
    _check_base(options.base, Path(), architecture)
    with output.replacing(target) as partial:
        with progress.step("layers", "base, dependencies, runtime") as note:
            environment = layers.environment(_base(options.base, Path(), architecture, options), "router")
            note.text = _sizes(environment.layers)
        with progress.step("index", "OCI image layout") as note:
            labels = {"org.opencontainers.image.title": "trihull-router"}
            digest = index.run(
                partial / release.LAYOUT,
                environment.layers,
                architecture,
                "trihull_runtime.router",
                ROUTER_PORTS,
                labels,
            )
            note.text = digest
        document = {"version": 1, "index_digest": digest, "layout": release.LAYOUT}
        write_file(partial / "router.json", document_bytes(document) + b"\n")
    return RouterImage(digest, (f"linux/{architecture}",))


@contextlib.contextmanager
def _scratch(partial: Path) -> Iterator[Path]:
    """Give a folder for what the steps hand on; it lies in the unfinished output, so a killed build leaves it there."""
    folder = partial / ".scratch"
    folder.mkdir()
    try:
        yield folder.absolute()
    finally:
        cache.remove(folder)


def _check_base(reference: str | None, folder: Path, architecture: str) -> None:
    """Raise before the long work what would stop the base afterwards: a wrong reference, no package archive."""
    if reference is not None:
        given.check(reference, architecture, folder)
    else:
        apt.machine_sources()


def _base(reference: str | None, folder: Path, architecture: str, options: Options) -> Base:
    if reference is not None:
        return given.given_base(reference, architecture, folder)
    return debian.debian_base(architecture, refresh=options.refresh_base)


def _sizes(layers_: tuple[Layer, ...]) -> str:
    return " + ".join(f"{layer.size_bytes / 1e6:.1f}" for layer in layers_) + " MB"
