"""What an image holds, read once and counted: index, manifests, configurations, layers, and the model.

What is missing or wrong becomes a problem, not an error: whoever verifies wants to know all that is broken. Only a
registry that cannot be reached is an error.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trihull_runtime.artifacts.errors import ContentError, LayoutError
from trihull_runtime.artifacts.evidence.attached import descriptor, read_blob
from trihull_runtime.artifacts.evidence.model_layer import Model, read_model
from trihull_runtime.artifacts.evidence.statement import parse_json
from trihull_runtime.artifacts.registry.layout import INDEX_TYPE, MANIFEST_TYPE
from trihull_runtime.artifacts.registry.protocol import Descriptor, Registry

PARALLEL: Final = 4
PLATFORMS_MAX: Final = 50
LAYERS_MAX: Final = 500
RELEASE_LABEL: Final = "dev.trihull.release"
TITLE_LABEL: Final = "org.opencontainers.image.title"
VERSION_LABEL: Final = "org.opencontainers.image.version"
ROUTER_TITLE: Final = "trihull-router"
ROUTER_MODULE: Final = "trihull_runtime.router.supervised"


@dataclass
class Platform:
    """One platform's image, as far as it could be read.

    Attributes:
        name: as the index has it: `linux/amd64`.
        manifest: its descriptor in the index.
        own_name: as its configuration has it; empty when that cannot be read.
        labels: of its configuration.
        entrypoint: likewise.
        layers: lowest first.
        diff_ids: likewise, as the configuration has them.
    """

    name: str
    manifest: Descriptor
    own_name: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict)
    entrypoint: tuple[Any, ...] = ()
    layers: tuple[Descriptor, ...] = ()
    diff_ids: tuple[Any, ...] = ()


@dataclass
class Contents:
    """An image.

    Attributes:
        size_bytes: of all that was counted.
        annotations: of the index.
        platforms: in the index's order.
        problems: what is missing, damaged or of another form.
        model: None when it cannot be read; `model_problems` then says why.
        model_problems: what is wrong with the model, apart from blobs that are damaged.
    """

    size_bytes: int = 0
    annotations: Mapping[str, Any] = field(default_factory=dict)
    platforms: list[Platform] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    model: Model | None = None
    model_problems: list[str] = field(default_factory=list)

    @property
    def says_router(self) -> bool:
        """Whether the image calls itself the router's, and neither names a release nor holds a model."""
        titled = self.annotations.get(TITLE_LABEL) == ROUTER_TITLE
        return titled and RELEASE_LABEL not in self.annotations and self.model is None


def read(registry: Registry, digest: str) -> Contents:
    """Read the image with this index digest, all blobs included.

    Raises:
        RegistryError: the registry cannot be reached.
    """
    result = Contents()
    try:
        _index(registry, digest, result)
    except (LayoutError, ContentError) as error:
        result.problems.append(str(error))
        return result
    for platform in result.platforms:
        try:
            _platform(registry, platform, result)
        except (LayoutError, ContentError) as error:
            result.problems.append(f"{platform.name}: {error}")
    _layers(registry, result)
    return result


def _index(registry: Registry, digest: str, result: Contents) -> None:
    found = registry.read_manifest(digest)
    source = f"{registry.name}: index {digest}"
    index = parse_json(found.data, source)
    if found.media_type != INDEX_TYPE or not isinstance(index.get("manifests"), list):
        raise LayoutError(f"{source}: is a {found.media_type!r:.90} and no image index; evidence is about an index")
    entries = index["manifests"]
    if not 0 < len(entries) <= PLATFORMS_MAX:
        raise LayoutError(f"{source}: lists {len(entries)} manifests; expected 1 to {PLATFORMS_MAX}")
    result.size_bytes += len(found.data)
    result.annotations = _mapping(index.get("annotations"))
    for entry in entries:
        manifest = descriptor(entry, source)
        if manifest.media_type != MANIFEST_TYPE:
            raise LayoutError(f"{source}: lists a {manifest.media_type!r:.90}, which is no image")
        result.platforms.append(Platform(_name(_mapping(entry.get("platform"))), manifest))


def _platform(registry: Registry, platform: Platform, result: Contents) -> None:
    source = f"{registry.name}: manifest {platform.manifest.digest}"
    found = registry.read_manifest(platform.manifest.digest)
    if len(found.data) != platform.manifest.size_bytes:
        raise LayoutError(f"{source}: has {len(found.data)} bytes, the index says {platform.manifest.size_bytes}")
    manifest = parse_json(found.data, source)
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not 0 < len(layers) <= LAYERS_MAX:
        raise LayoutError(f"{source}: layers: expected a list of 1 to {LAYERS_MAX}")
    platform.layers = tuple(descriptor(layer, source) for layer in layers)
    config = descriptor(manifest.get("config"), source)
    document = parse_json(read_blob(registry, config), f"{registry.name}: configuration {config.digest}")
    result.size_bytes += len(found.data) + config.size_bytes
    platform.own_name = _name(document)
    config_part = _mapping(document.get("config"))
    platform.labels = _mapping(config_part.get("Labels"))
    entrypoint = config_part.get("Entrypoint")
    platform.entrypoint = tuple(entrypoint) if isinstance(entrypoint, list) else ()
    diff_ids = _mapping(document.get("rootfs")).get("diff_ids")
    platform.diff_ids = tuple(diff_ids) if isinstance(diff_ids, list) else ()
    if len(platform.diff_ids) != len(platform.layers):
        raise LayoutError(f"{source}: has {len(platform.layers)} layers, its configuration {len(platform.diff_ids)}")


def _layers(registry: Registry, result: Contents) -> None:
    """Read every layer once, and the model out of the uppermost one, which all platforms share."""
    blobs: dict[str, Descriptor] = {}
    for platform in result.platforms:
        for layer in platform.layers:
            if blobs.setdefault(layer.digest, layer).size_bytes != layer.size_bytes:
                result.problems.append(f"{platform.name}: layer {layer.digest} is listed with two sizes")
    tops = {platform.layers[-1].digest: platform for platform in result.platforms if platform.layers}
    if len(tops) != 1:
        told = ", ".join(f"{platform.name} {digest}" for digest, platform in tops.items())
        result.model_problems.append(f"the platforms do not share one uppermost layer, the model's: {told or 'none'}")

    def problem(layer: Descriptor) -> str:
        try:
            with registry.blob_file(layer) as path:
                if len(tops) == 1 and layer.digest in tops:
                    _model(path, registry, tops[layer.digest], result)
                return ""
        except (LayoutError, ContentError) as error:
            return str(error)

    with ThreadPoolExecutor(PARALLEL) as pool:
        found = dict(zip(blobs, pool.map(problem, blobs.values()), strict=True))
    result.problems += [text for text in found.values() if text]
    result.size_bytes += sum(blob.size_bytes for digest, blob in blobs.items() if not found[digest])
    if result.model is None and not result.model_problems:
        result.model_problems.append("the model's layer is missing or damaged")


def _model(path: Path, registry: Registry, platform: Platform, result: Contents) -> None:
    source = f"{registry.name}: layer {platform.layers[-1].digest}"
    try:
        result.model = read_model(path, source, platform.diff_ids[-1] if platform.diff_ids else None)
    except LayoutError as error:
        result.model_problems.append(str(error))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Mapping[str, Any]) -> str:
    return f"{value.get('os', 'unknown')}/{value.get('architecture', 'unknown')}"[:80]
