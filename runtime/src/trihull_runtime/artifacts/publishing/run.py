"""Images into several registries at once; one that fails is told, and the others go on."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from trihull_runtime.artifacts.errors import ContentError
from trihull_runtime.artifacts.registry import transfer
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Manifest, Registry
from trihull_runtime.artifacts.registry.references import Opened, open_registry
from trihull_runtime.contract.release import Release, RouterBuild, Verdict
from trihull_runtime.errors import InputError, TrihullError, UsageError

SHOWN_BYTES = 1_000_000  # smaller blobs are not worth a line
RELEASE, ROUTER = "release.json", "router.json"


@dataclass(frozen=True)
class Source:
    """An image to publish: what it is called in messages, its OCI layout and its index digest."""

    what: str
    layout: Path
    digest: str


@dataclass(frozen=True)
class Outcome:
    """What came of one target: `problem` is empty when all is there."""

    target: str
    registry: str
    copied: transfer.Copied
    seconds: float
    problem: str = ""

    def to_value(self) -> dict[str, object]:
        """Return it as plain values, for JSON."""
        return {
            "target": self.target,
            "registry": self.registry,
            "sent": self.copied.sent,
            "present": self.copied.present,
            "sent_bytes": self.copied.sent_bytes,
            "seconds": round(self.seconds, 3),
            "problem": self.problem,
        }


def source(path: Path) -> Source:
    """Return the image of a release, or of a router's build.

    Args:
        path: the folder that `trihull package` wrote, or the document in it.

    Raises:
        ContractError: the document is not what its contract asks for.
        InputError: there is none, or its evaluation failed: such a release goes nowhere.
    """
    file = path
    if path.is_dir():
        found = [path / name for name in (RELEASE, ROUTER) if (path / name).is_file()]
        if not found:
            raise InputError(f"{path}: holds no {RELEASE} and no {ROUTER}; give what `trihull package` wrote")
        file = found[0]
    if file.name == ROUTER:
        build = RouterBuild.read(file)
        return Source("router", file.parent / build.layout, build.index_digest)
    release = Release.read(file)
    if release.evaluation.verdict is not Verdict.PASSED:
        raise InputError(f"{file}: the evaluation of {release.model.name} failed; it is not published")
    return Source(release.model.name, file.parent / release.image.layout, release.image.index_digest)


def to_all(
    sources: Sequence[Source],
    targets: Mapping[str, str | TrihullError],
    note: Callable[[str], None],
    going_on: Callable[[], bool] = lambda: True,
) -> list[Outcome]:
    """Publish images to every target, side by side, only what is missing there.

    Args:
        sources: the images.
        targets: name (of a site, or the reference itself) -> the registry's reference, or why it is not known.
        note: told of every large blob, a line each.
        going_on: asked before every image; False leaves out the rest.
    """
    lock = threading.Lock()

    def say(line: str) -> None:
        with lock:
            note(line)

    def one(target: str) -> Outcome:
        begun, reference = time.monotonic(), targets[target]
        total = transfer.Copied(0, 0, 0)
        if isinstance(reference, TrihullError):
            return Outcome(target, "", total, 0.0, str(reference))
        try:
            opened = open_registry(reference)
            for image in sources:
                if not going_on():
                    return Outcome(target, reference, total, time.monotonic() - begun, "stopped")
                total = _sum(total, _publish(image, opened, lambda line: say(f"[{target}] {line}")))
        except (TrihullError, OSError) as error:
            return Outcome(target, reference, total, time.monotonic() - begun, str(error))
        return Outcome(target, reference, total, time.monotonic() - begun)

    with ThreadPoolExecutor(max(1, len(targets))) as pool:
        return list(pool.map(one, targets))


def _publish(image: Source, opened: Opened, note: Callable[[str], None]) -> transfer.Copied:
    tag = opened.reference
    if tag is not None and tag.startswith("sha256:"):
        raise UsageError(f"{opened.registry.name}: a target has no digest; the image has its own ({image.digest[:19]})")

    def report(done: transfer.Progress) -> None:
        if done.sent_bytes >= SHOWN_BYTES:
            note(f"{image.what}: sent {done.sent_bytes / 1e6:.1f} MB")

    source = LayoutRegistry(image.layout)
    copied = transfer.copy(source, opened.registry, image.digest, tag=tag, report=report)
    if tag is None and not isinstance(opened.registry, LayoutRegistry):
        _hold(opened.registry, source.read_manifest(image.digest))
    return copied


def _hold(registry: Registry, manifest: Manifest) -> None:
    """Give an image of no other name a tag, unless it has it already: tags may be immutable.

    What is named by its digest alone is untagged, and rules of registries sweep up what is untagged: the image that a
    site is serving with it. The tag follows from the digest, so it never has to move.
    """
    tag = f"image-{manifest.digest.removeprefix('sha256:')}"
    with contextlib.suppress(ContentError):
        if registry.read_manifest(tag).digest == manifest.digest:
            return
    registry.write_manifest(manifest, tag)


def _sum(one: transfer.Copied, other: transfer.Copied) -> transfer.Copied:
    return transfer.Copied(one.sent + other.sent, one.present + other.present, one.sent_bytes + other.sent_bytes)
