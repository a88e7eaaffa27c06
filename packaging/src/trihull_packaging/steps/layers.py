"""The layers, in the order of change: base, dependencies, runtime, model. Equal inputs are not packed again."""

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, Literal

from trihull_packaging import cache, closures, resolver
from trihull_packaging.base import interpreter
from trihull_packaging.base.image import Base
from trihull_packaging.oci import layers, tars
from trihull_packaging.oci.layers import Layer
from trihull_packaging.spec import ModelSpec
from trihull_runtime.contract.manifest import MANIFEST_FILE, FileDigest, ModelManifest, release_digest

Part = Literal["server", "router"]
OPT: Final = "opt/trihull"
# Written by the installer: they name this machine's paths, or say how and not what.
INSTALLER_FILES: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", ".lock"})


@dataclass(frozen=True)
class Environment:
    """What a model or the router runs in."""

    base: Base
    dependencies: Layer
    runtime: Layer

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return all layers, lowest first."""
        return (*self.base.layers, self.dependencies, self.runtime)

    def digests(self) -> dict[str, str]:
        """Return the content's digests, of the uncompressed layers: which compressor was used is no other release."""
        base = [layer.diff_id for layer in self.base.layers]
        one = base[0] if len(base) == 1 else f"sha256:{hashlib.sha256(' '.join(base).encode()).hexdigest()}"
        return {"base": one, "dependencies": self.dependencies.diff_id, "runtime": self.runtime.diff_id}


def environment(base: Base, part: Part) -> Environment:
    """Return the layers below the model; `part` says whose dependencies.

    Raises:
        ToolError: the packages cannot be installed or the base's Python does not run here.
    """
    return Environment(base, dependencies_layer(base, part), runtime_layer(base))


def dependencies_layer(base: Base, part: Part) -> Layer:
    """Return the locked closure of `trihull-runtime[part]`, with its bytecode."""
    lock = closures.DATA / f"{part}-requirements.txt"
    text = lock.read_bytes()
    name = cache.key("dependencies", _recipe(), text.decode(), _compiler(base), base.architecture)

    def entries(scratch: Path) -> Iterable[tars.Entry]:
        target = scratch / "dependencies"
        resolver.install_target(lock, target, base.python_version, base.architecture)
        clean(target)
        interpreter.compile_folder(base.root, target, f"/{OPT}/dependencies")
        yield tars.Entry(f"{OPT}/requirements.txt", data=text, mode=0o644)
        yield from tars.entries_of(target, f"{OPT}/dependencies")

    return layers.cached_layer(name, f"dependencies of trihull-runtime[{part}]", entries)


def runtime_layer(base: Base) -> Layer:
    """Return trihull_runtime as it is installed here, with the base's bytecode."""
    package = resources.files("trihull_runtime")
    with resources.as_file(package) as source:
        files = runtime_files(source)
        contents = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
        name = cache.key("runtime", _recipe(), contents, _compiler(base))

        def entries(scratch: Path) -> Iterable[tars.Entry]:
            target = scratch / "runtime"
            for file, path in files.items():
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / file)
            interpreter.compile_folder(base.root, target, f"/{OPT}/runtime")
            yield from tars.entries_of(target, f"{OPT}/runtime")

        return layers.cached_layer(name, "trihull-runtime", entries)


def runtime_files(source: Path) -> dict[str, Path]:
    """Return name in the layer -> file of an installed package, without this machine's bytecode."""
    return {
        f"{source.name}/{path.relative_to(source).as_posix()}": path
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


def clean(target: Path) -> None:
    """Remove what an image does not need: the installer's scripts and records, and the packages' own tests."""
    cache.remove(target / "bin")
    for path in sorted(target.rglob("*")):
        if path.name in INSTALLER_FILES and (path.parent == target or path.parent.name.endswith(".dist-info")):
            path.unlink()
        elif path.name in ("__pycache__", "tests") and path.is_dir():
            cache.remove(path)


@dataclass(frozen=True)
class PackedModel:
    """The model's layer, its folder's files by name, the manifest, and the release's digest."""

    layer: Layer
    files: dict[str, bytes]
    manifest: ModelManifest
    release_digest: str


def model_layer(spec: ModelSpec, graph: Path, below: Environment, folder: Path) -> PackedModel:
    """Return the layer that holds `/models/<name>/`: the model and its manifest."""
    data = graph.read_bytes()
    manifest = ModelManifest(
        version=ModelManifest.CURRENT,
        name=spec.name,
        model_version=spec.version,
        framework=spec.framework,
        format="onnx",
        model_file=graph.name,
        files={graph.name: FileDigest(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))},
        signature=spec.contract_signature(),
        classes=tuple(spec.classes),
        environment=below.digests(),
    )
    text = manifest.to_json().encode()
    files = {graph.name: data, MANIFEST_FILE: text}
    entries = [tars.Entry(f"models/{spec.name}/{name}", data=content, mode=0o644) for name, content in files.items()]
    layer = layers.write_layer(entries, folder, f"model {spec.name} {spec.version}")
    return PackedModel(layer, files, manifest, release_digest(text))


def _recipe() -> str:
    return cache.source_key(__file__, tars.__file__, interpreter.__file__, layers.__file__)


def _compiler(base: Base) -> list[str]:
    """Return what decides the bytecode: the base's content."""
    return [layer.diff_id for layer in base.layers]
