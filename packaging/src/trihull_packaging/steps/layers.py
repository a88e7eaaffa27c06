"""The layers, in the order of change: base, dependencies, runtime, model. Equal inputs are not packed again."""

import functools
import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from trihull_packaging import cache, contents, resolver
from trihull_packaging.base import interpreter
from trihull_packaging.base.image import Base
from trihull_packaging.base.interpreter import Bytecode
from trihull_packaging.closures import Part
from trihull_packaging.contents import Package
from trihull_packaging.errors import StepError
from trihull_packaging.lock import LockedWheel, requirements
from trihull_packaging.oci import layers, tars
from trihull_packaging.oci.layers import Layer
from trihull_packaging.spec import BudgetSpec, ModelSpec
from trihull_runtime.artifacts.registry.blobs import file_digest
from trihull_runtime.contract.manifest import MANIFEST_FILE, FileDigest, ModelManifest, release_digest

OPT: Final = "opt/trihull"
# What prepares models and is no part of answering with them: 12 MB of an image. Likewise `.pyi`, for type checkers.
LEFT_OUT: Final = ("onnxruntime/datasets", "onnxruntime/quantization", "onnxruntime/tools", "onnxruntime/transformers")
LARGEST: Final = 5  # packages named when a layer is too large
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
        return {
            "base": joined(self.base.diff_ids),
            "dependencies": self.dependencies.diff_id,
            "runtime": self.runtime.diff_id,
        }


def environments(
    bases: Mapping[str, Base], part: Part, wheels: Mapping[str, Sequence[LockedWheel]], *, gpu: bool
) -> dict[str, Environment]:
    """Return platform -> the layers below the model, those of all platforms made side by side.

    Args:
        bases: platform (`linux/amd64`) -> its base.
        part: whose dependencies the wheels are.
        wheels: platform -> those that the lock has.
        gpu: whether PyTorch may come with CUDA.

    Raises:
        ToolError: the packages cannot be installed or no Python here can compile them.
    """
    # Installing waits for the network, and compressing needs no interpreter.
    with cache.scratch("bytecode") as scratch, ThreadPoolExecutor() as pool:
        made = Bytecode(scratch)
        dependencies = {
            platform: pool.submit(dependencies_layer, base, part, wheels[platform], made, gpu=gpu)
            for platform, base in bases.items()
        }
        runtimes = {_runtime_key(base): base for base in bases.values()}  # as a rule one for all
        runtime = {key: runtime_layer(base) for key, base in runtimes.items()}
        return {
            platform: Environment(base, dependencies[platform].result(), runtime[_runtime_key(base)])
            for platform, base in bases.items()
        }


def dependencies_layer(base: Base, part: Part, wheels: Sequence[LockedWheel], made: Bytecode, *, gpu: bool) -> Layer:
    """Return the locked wheels, installed, with their bytecode, as far as another layer's is not the same."""
    text = requirements(wheels)
    name = cache.key("dependencies", _recipe(), text, base.compiler.key, base.python_version, base.architecture)

    def entries(scratch: Path, packages: list[Package]) -> Iterable[tars.Entry]:
        target = scratch / "dependencies"
        lock = scratch / "requirements.txt"
        lock.write_text(text, encoding="utf-8")
        resolver.install_target(lock, target, base.python_version, base.architecture, gpu=gpu)
        files = contents.installed(target)
        clean(target)
        interpreter.compile_folder(base.compiler, target, f"/{OPT}/dependencies", made)
        sizes = contents.sizes(target, files)
        packages.extend(Package("pypi", w.name, w.version, w.sha256, sizes.get(w.name, 0)) for w in wheels)
        yield tars.Entry(f"{OPT}/requirements.txt", path=lock, mode=0o644)
        yield from tars.entries_of(target, f"{OPT}/dependencies")

    return layers.cached_layer(name, f"dependencies of trihull-runtime[{part}]", entries)


def runtime_layer(base: Base) -> Layer:
    """Return trihull_runtime as it is installed here, with bytecode: the same for every architecture."""
    package = resources.files("trihull_runtime")
    with resources.as_file(package) as source:
        files = runtime_files(source)
        digests = {name: _sha256(path) for name, path in files.items()}
        name = cache.key("runtime", _recipe(), digests, *_runtime_key(base))

        def entries(scratch: Path, packages: list[Package]) -> Iterable[tars.Entry]:
            target = scratch / "runtime"
            for file, path in files.items():
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / file)
            interpreter.compile_folder(base.compiler, target, f"/{OPT}/runtime")
            size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
            version = importlib.metadata.version("trihull-runtime")
            packages.append(Package("pypi", "trihull-runtime", version, "", size))
            yield from tars.entries_of(target, f"{OPT}/runtime")

        return layers.cached_layer(name, "trihull-runtime", entries)


def _runtime_key(base: Base) -> tuple[tuple[str, ...], str]:
    """Return what of a base the runtime's layer depends on."""
    return base.compiler.key, base.python_version


def runtime_files(source: Path) -> dict[str, str]:
    """Return name in the layer -> file of an installed package, without this machine's bytecode."""
    result: dict[str, str] = {}
    for top, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name != "__pycache__"]
        place = f"{source.name}{top.removeprefix(str(source))}".replace(os.sep, "/")
        result |= {f"{place}/{name}": f"{top}/{name}" for name in files if not name.startswith(".")}
    return dict(sorted(result.items()))


def _sha256(path: str) -> str:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # a Path's making takes longer than the reading
        return hashlib.sha256(file.read()).hexdigest()


def clean(target: Path) -> None:
    """Remove what an image does not need: the installer's scripts and records, the packages' own tests, `LEFT_OUT`."""
    for name in ("bin", *LEFT_OUT):
        cache.remove(target / name)
    for top, folders, files in os.walk(target):
        for name in {"__pycache__", "tests"}.intersection(folders):
            folders.remove(name)
            cache.remove(Path(top, name))
        record = top == str(target) or top.endswith(".dist-info")
        for name in files:
            if (record and name in INSTALLER_FILES) or name.endswith(".pyi"):
                Path(top, name).unlink()


@dataclass(frozen=True)
class PackedModel:
    """The model's layer, its file, the manifest's text and content, and the release's digest."""

    layer: Layer
    graph: Path
    manifest_text: bytes
    manifest: ModelManifest
    release_digest: str


def model_layer(spec: ModelSpec, graph: Path, below: Mapping[str, Environment], folder: Path) -> PackedModel:
    """Return the layer that holds `/models/<name>/`: the model and its manifest, the same for every architecture.

    Args:
        spec: of the model.
        graph: the model's file.
        below: platform (`linux/amd64`) -> the layers that it lies on.
        folder: to write to; what remains of it is brought to the disk with the release.
    """
    digest = file_digest(graph)
    manifest = ModelManifest(
        version=ModelManifest.CURRENT,
        name=spec.name,
        model_version=spec.version,
        framework=spec.framework,
        format="onnx",
        model_file=graph.name,
        files={graph.name: FileDigest(digest, graph.stat().st_size)},
        signature=spec.contract_signature(),
        classes=tuple(spec.classes),
        environment={
            f"{platform}/{name}": digest
            for platform, environment_ in sorted(below.items())
            for name, digest in environment_.digests().items()
        },
    )
    text = manifest.to_json().encode()
    place = f"models/{spec.name}"
    entries = [
        tars.Entry(f"{place}/{graph.name}", path=graph, mode=0o644),
        tars.Entry(f"{place}/{MANIFEST_FILE}", data=text, mode=0o644),
    ]
    layer = layers.pack_layer(entries, folder, f"model {spec.name} {spec.version}", tars.FAST)
    return PackedModel(layer, graph, text, manifest, release_digest(text))


def within_budgets(below: Mapping[str, Environment], model: Layer | None, budgets: BudgetSpec, gpu: bool) -> None:
    """Raise `StepError` when a layer is larger than it may be, with the largest packages in it; `gpu` lifts the one of
    the dependencies, as a GPU's libraries take gigabytes.
    """
    problems = []
    for platform, found in sorted(below.items()):
        problems += _over(f"{platform}: base", found.base.layers, budgets.base, "base")
        if not gpu:
            problems += _over(f"{platform}: dependencies", (found.dependencies,), budgets.dependencies, "dependencies")
        problems += _over(f"{platform}: runtime", (found.runtime,), budgets.runtime, "runtime")
    problems += _over("model", (model,) if model is not None else (), budgets.model, "model")
    if problems:
        raise StepError("\n  ".join(["the image is larger than model.yaml allows:", *problems]))


def joined(digests: Sequence[str]) -> str:
    """Return one digest for a sequence of them; that of a single one is itself."""
    return digests[0] if len(digests) == 1 else f"sha256:{hashlib.sha256(' '.join(digests).encode()).hexdigest()}"


def _over(what: str, found: Sequence[Layer], budget_mb: int, key: str) -> list[str]:
    size = sum(layer.size_bytes for layer in found)
    if size <= budget_mb * 10**6:
        return []
    packages = sorted((p for layer in found for p in layer.packages), key=lambda p: -p.size_bytes)[:LARGEST]
    largest = ", ".join(f"{p.name} {p.version} ({p.size_bytes / 1e6:.0f} MB unpacked)" for p in packages)
    text = f"{what} has {size / 1e6:.1f} MB, image.budgets_mb.{key} is {budget_mb}"
    return [f"{text}; largest: {largest}" if largest else text]


@functools.cache  # of this process's own code
def _recipe() -> str:
    return cache.source_key(__file__, contents.__file__, tars.__file__, interpreter.__file__, layers.__file__)
