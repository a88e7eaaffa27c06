"""The pipeline: from a model's folder to a release, from nothing to the router's image."""

import contextlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trihull_packaging import bases, cache, lock, output, spec
from trihull_packaging.lock import Lock
from trihull_packaging.oci.layers import Layer
from trihull_packaging.progress import Progress
from trihull_packaging.spec import ImageSpec, ModelSpec
from trihull_packaging.steps import attest, convert, evaluate, index, layers, parity, release, train
from trihull_packaging.steps import lock as locking
from trihull_packaging.steps.layers import Environment
from trihull_packaging.steps.lock import Request
from trihull_packaging.steps.parity import Answers
from trihull_runtime.artifacts.evidence.contents import (
    RELEASE_LABEL,
    ROUTER_MODULE,
    ROUTER_TITLE,
    TITLE_LABEL,
    VERSION_LABEL,
)
from trihull_runtime.artifacts.registry.blobs import document_bytes
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.contract.codec import write_file
from trihull_runtime.contract.release import Attestation, Evaluation, Image, Release, RouterBuild

if TYPE_CHECKING:
    from trihull_runtime.artifacts.evidence.signing import SigningKey

SERVER_PORTS: Final = (8080, 8082)
ROUTER_PORTS: Final = (8080, 8082, 8083)


@dataclass(frozen=True)
class Options:
    """What the command line may say.

    Attributes:
        base: a base of one's own; it must be the one that the lock was made with.
        locked: whether a missing lock is an error; else it is made.
        lock: the lock to use instead of the model's own: that of a release which is checked.
        sign: the private key's file that signs the evidence; None leaves it unsigned.
    """

    base: str | None = None
    locked: bool = False
    lock: Path | None = None
    sign: Path | None = None


@dataclass(frozen=True)
class RouterImage:
    """The router's image: its index's digest, its platforms, and its evidence."""

    index_digest: str
    platforms: tuple[str, ...]
    attestations: tuple[Attestation, ...] = ()


@dataclass(frozen=True)
class Passed:
    """A model that passed its gates: its file, both models' answers, how far they are apart, and the evaluation."""

    graph: Path
    answers: Answers
    differences: Mapping[str, parity.Difference]
    evaluation: Evaluation


def lock_model(model: Path, options: Options, progress: Progress) -> Lock:
    """Resolve a model's lock anew and write it to its folder; errors as `locking.resolve` has them."""
    wanted = spec.load(model)
    request = _model_request(wanted, model, options)
    bases.check(request.base, request.image.platforms, request.folder)
    return _resolved(request, model / lock.FILE, progress)


def lock_router(options: Options, progress: Progress) -> Lock:
    """Resolve the router's lock anew; it is kept in the cache."""
    request = _router_request(options)
    return _resolved(request, _router_lock(request), progress)


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
    request = _model_request(wanted, model, options)
    key = _key(options)
    bases.check(request.base, request.image.platforms, request.folder)
    with output.replacing(target) as partial, _scratch(partial) as scratch:
        found = _locked(request, options.lock or model / lock.FILE, options, progress)
        passed = pass_gates(wanted, model, found, scratch, progress)
        return assemble(wanted, request, found, passed, key, partial, progress)


def pass_gates(wanted: ModelSpec, model: Path, found: Lock, scratch: Path, progress: Progress) -> Passed:
    """Train, convert, compare and evaluate a model in `scratch`; raises as the steps do."""
    assert found.training is not None, "a model's lock names the Python that trains"
    with progress.step("train", f"{wanted.train.script} in an environment of its own") as note:
        trained = train.run(wanted, model, found.training.python, scratch)
        note.text = trained.said
    with progress.step("convert", f"{wanted.artifact} to ONNX") as note:
        graph = convert.run(wanted, trained, scratch)
        note.text = f"{graph.stat().st_size / 1000:.1f} kB"
    with progress.step("parity", "trained against converted model") as note:
        answers, differences = parity.run(wanted, trained, graph, scratch)
        worst = max(difference.probability for difference in differences.values())
        rows = sum(difference.rows for difference in differences.values())
        note.text = f"{rows} rows, labels equal, probabilities within {worst:.1e}"
    with progress.step("evaluate", "metrics of the test split against their gates") as note:
        evaluation = evaluate.run(wanted, trained, answers, scratch)
        note.text = ", ".join(f"{name} {value:.4f}" for name, value in evaluation.metrics.items())
    return Passed(graph, answers, differences, evaluation)


def assemble(
    wanted: ModelSpec,
    request: Request,
    found: Lock,
    passed: Passed,
    key: "SigningKey | None",
    partial: Path,
    progress: Progress,
) -> Release:
    """Make the image, its evidence and the release's documents of a model that passed.

    Args:
        wanted: the model.
        request: what the image is to be made of.
        found: the lock, checked.
        passed: what the gates let through.
        key: signs the evidence; None leaves it unsigned.
        partial: the new release's folder.
        progress: told of every step.
    """
    with _scratch(partial, "layer") as scratch:
        with progress.step("layers", "base, dependencies, runtime, model") as note:
            below = _environments(request, found)
            packed = layers.model_layer(wanted, passed.graph, below, scratch)
            layers.within_budgets(below, packed.layer, wanted.image.budgets_mb, gpu=wanted.image.gpu)
            note.text = _sizes(below, packed.layer)
        with progress.step("index", "OCI image layout") as note:
            labels = {
                TITLE_LABEL: wanted.name,
                VERSION_LABEL: wanted.version,
                RELEASE_LABEL: packed.release_digest,
            }
            platforms = {platform: (*found_.layers, packed.layer) for platform, found_ in below.items()}
            indexed = index.run(partial / release.LAYOUT, platforms, "trihull_runtime.server", SERVER_PORTS, labels)
            note.text = indexed.index.digest
        with progress.step("attest", "bills of materials, provenance, gate, model card") as note:
            subject = attest.subject_of(
                wanted, request.model, found, below, packed, indexed, passed.answers, passed.differences,
                passed.evaluation,
            )  # fmt: skip
            evidence = attest.run(LayoutRegistry(partial / release.LAYOUT, durable=False), subject, key)
            note.text = f"{len(evidence)} attestations, {'signed' if key is not None else 'not signed'}"
        with progress.step("release", "release.json") as note:
            image = Image(indexed.index.digest, tuple(indexed.manifests), release.LAYOUT)
            made = release.run(wanted, packed, passed.answers, passed.evaluation, image, evidence, found, partial)
            note.text = made.release_digest
    return made


def package_router(target: Path, options: Options, progress: Progress) -> RouterImage:
    """Package the router's image; arguments and errors as of `package_model`."""
    request = _router_request(options)
    key = _key(options)
    bases.check(request.base, request.image.platforms, request.folder)
    with output.replacing(target) as partial:
        found = _locked(request, options.lock or _router_lock(request), options, progress)
        with progress.step("layers", "base, dependencies, runtime") as note:
            below = _environments(request, found)
            note.text = _sizes(below, None)
        with progress.step("index", "OCI image layout") as note:
            version = importlib.metadata.version("trihull-runtime")
            labels = {TITLE_LABEL: ROUTER_TITLE, VERSION_LABEL: version}
            platforms = {platform: found_.layers for platform, found_ in below.items()}
            indexed = index.run(partial / release.LAYOUT, platforms, ROUTER_MODULE, ROUTER_PORTS, labels)
            note.text = indexed.index.digest
        with progress.step("attest", "bills of materials, provenance") as note:
            subject = attest.router_subject_of(found, below, indexed, version)
            evidence = attest.run(LayoutRegistry(partial / release.LAYOUT, durable=False), subject, key)
            note.text = f"{len(evidence)} attestations, {'signed' if key is not None else 'not signed'}"
        build = RouterBuild(RouterBuild.CURRENT, indexed.index.digest, release.LAYOUT, evidence)
        found.write(partial / lock.FILE)
        write_file(partial / "router.json", document_bytes(build.to_value()) + b"\n")
    return RouterImage(indexed.index.digest, tuple(indexed.manifests), evidence)


def _model_request(wanted: ModelSpec, model: Path, options: Options) -> Request:
    given = options.base is not None
    return Request(
        part="server",
        image=wanted.image,
        base=options.base if given else wanted.base,
        folder=Path() if given else model,
        spec=wanted,
        model=model,
        source=str(options.lock or model / lock.FILE),
        again=f"trihull package {model} --lock{f' --base {options.base}' if given else ''}",
    )


def _key(options: Options) -> "SigningKey | None":
    if options.sign is None:
        return None
    from trihull_runtime.artifacts.evidence import signing  # only then: cryptography takes its time to load

    return signing.load_key(options.sign)


def _router_request(options: Options) -> Request:
    again = f"trihull package --router --lock{f' --base {options.base}' if options.base else ''}"
    return Request("router", ImageSpec(), options.base, Path(), None, Path(), "the router's lock", again)


def _router_lock(request: Request) -> Path:
    return cache.home() / "locks-of-routers" / f"{cache.key(request.inputs())}.json"


def _locked(request: Request, path: Path, options: Options, progress: Progress) -> Lock:
    if path.exists():
        return locking.read(request, path)
    if options.locked or options.lock is not None:
        raise locking.missing(request)
    return _resolved(request, path, progress)


def _resolved(request: Request, path: Path, progress: Progress) -> Lock:
    with (
        progress.step("lock", "base and wheels, for every architecture") as note,
        cache.scratch("locking") as scratch,
    ):
        found = locking.resolve(request, scratch)
        found.write(path)
        wheels = {wheel.sha256 for platform in found.platforms.values() for wheel in platform.wheels}
        replaced = "".join(f", {other} for {name}" for name, other in found.substitutions.items())
        note.text = f"{found.base}, Python {found.python}, {len(wheels)} wheels{replaced} -> {path}"
    return found


def _environments(request: Request, found: Lock) -> dict[str, Environment]:
    below = bases.locked(found, request.base, request.folder, request.source)
    wheels = {platform: one.wheels for platform, one in found.platforms.items()}
    return layers.environments(below, request.part, wheels, gpu=request.image.gpu)


@contextlib.contextmanager
def _scratch(parent: Path, name: str = "scratch") -> Iterator[Path]:
    """Give a folder for what the steps hand on; it lies in the unfinished output, so a killed build leaves it there."""
    folder = parent / f".{name}"
    cache.remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder.absolute()
    finally:
        cache.remove(folder)


def _sizes(below: Mapping[str, Environment], model: Layer | None) -> str:
    sizes = {
        platform.partition("/")[2]: [layer.size_bytes / 1e6 for layer in environment.layers]
        for platform, environment in below.items()
    }
    text = "; ".join(f"{name} {' + '.join(f'{size:.1f}' for size in found)}" for name, found in sizes.items())
    return f"{text} MB" + (f"; model {model.size_bytes / 1e6:.3f} MB" if model is not None else "")
