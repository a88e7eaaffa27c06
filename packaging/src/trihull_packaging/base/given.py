"""A base that the user gives: an image by digest, in an OCI layout on disk or in a registry."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from trihull_packaging import cache, contents, spec
from trihull_packaging.base.image import Base
from trihull_packaging.base.interpreter import Interpreter, check_fits, find_python, of_root
from trihull_packaging.errors import SpecError
from trihull_packaging.oci.layers import Layer
from trihull_runtime.artifacts.registry import transfer
from trihull_runtime.artifacts.registry.layout import LAYER_TYPE, PlatformImage, entries, platform_image, unpack
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.references import open_registry
from trihull_runtime.contract.codec import DIGEST

LAYOUT: Final = rf"oci-layout://(?P<path>.+)@(?P<digest>{DIGEST})"


def check(reference: str, architecture: str, relative_to: Path) -> None:
    """Raise what `given_base` would raise over a reference or its image, at once and without unpacking."""
    _image(reference, architecture, relative_to)


def given_base(reference: str, architecture: str, relative_to: Path, compiler: Interpreter | None) -> Base:
    """Return the base that `oci-layout://PATH@sha256:...` or `HOST/REPOSITORY@sha256:...` names.

    Args:
        reference: the layout's path may be relative.
        architecture: `amd64` or `arm64`.
        relative_to: to which folder.
        compiler: makes the bytecode; None when the base's own Python runs here.

    Raises:
        SpecError: not such a reference.
        LayoutError: the layout does not hold the image, or holds it damaged.
        RegistryError: the registry does not give it.
        StepError: the image has no /usr/bin/python3.
    """
    image = _image(reference, architecture, relative_to)
    diff_ids = image.config["rootfs"]["diff_ids"]

    def make(folder: Path) -> None:
        unpack(image, folder / "root")

    root = cache.made_once("bases", cache.key("given 1", diff_ids), make) / "root"
    packages = contents.recorded(root)  # of the root as a whole: which layer brought which is not told apart
    layers = tuple(
        replace(
            _layer(path, diff_id),
            purpose=f"base: layer {number} of {reference.rpartition('@')[2]}",
            packages=packages if number == len(diff_ids) else (),
        )
        for number, (path, diff_id) in enumerate(zip(image.layers, diff_ids, strict=True), 1)
    )
    version = find_python(root)
    own = compiler or of_root(root, tuple(diff_ids))
    check_fits(own, root)
    return Base(layers, root, version, architecture, reference, own)


def _image(reference: str, architecture: str, relative_to: Path) -> PlatformImage:
    platform = f"linux/{architecture}"
    match = re.fullmatch(LAYOUT, reference)
    if match is not None:
        return platform_image(relative_to.absolute() / Path(match["path"]).expanduser(), match["digest"], platform)
    if re.fullmatch(spec.BASE, reference) is None:
        raise SpecError(
            f"base: {reference!r} is not a reference; expected oci-layout://PATH@sha256:<64 hex digits>"
            " or HOST/REPOSITORY@sha256:<64 hex digits>"
        )
    digest = reference.rpartition("@")[2]
    return platform_image(_fetched(reference, digest), digest, platform)


def _layer(path: Path, diff_id: str) -> Layer:
    digest = f"sha256:{path.name}"  # `platform_image` has verified it
    plain = digest == diff_id
    media_type = LAYER_TYPE.removesuffix("+gzip") if plain else LAYER_TYPE
    return Layer(path, digest, diff_id, path.stat().st_size, "", media_type)


def _fetched(reference: str, digest: str) -> Path:
    """Return a layout in the cache that holds a registry's image with all its architectures; fetched once."""
    folder = cache.home() / "images"
    with cache.locked(folder):
        known = LayoutRegistry(folder)
        if (folder / "index.json").is_file() and any(entry["digest"] == digest for entry in entries(folder)):
            return folder
        transfer.copy(open_registry(reference).registry, known, digest, evidence=False)
    return folder
