"""Whether a release's evidence holds: a chain of links from the image's digest to the gate, each looked at by itself.

Nothing is believed that can be counted, and evidence counts only when it is about this image. With keys, it counts
only when one of them signed it: whoever can write to a registry can add statements, but cannot sign them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trihull_runtime.artifacts.errors import EvidenceError
from trihull_runtime.artifacts.evidence import contents, predicates
from trihull_runtime.artifacts.evidence.attached import Attached
from trihull_runtime.artifacts.evidence.contents import RELEASE_LABEL, Contents
from trihull_runtime.artifacts.evidence.counting import counted, gather, signed_by, statements
from trihull_runtime.artifacts.evidence.predicates import About, Judged
from trihull_runtime.artifacts.evidence.signing import PublicKey
from trihull_runtime.artifacts.registry.protocol import Registry
from trihull_runtime.contract.release import Release

ALWAYS: Final = ("digest", "platforms")
EVIDENCE: Final = ("release", "signature", "provenance", "sbom", "gate", "card")
LINKS: Final = (*ALWAYS, *EVIDENCE)
UNSIGNED: Final = frozenset(LINKS) - {"signature"}


@dataclass(frozen=True)
class Policy:
    """What is asked for.

    Attributes:
        require: links beside `ALWAYS`.
        keys: whose signatures count; without any, evidence counts unsigned.
        release: the release document that came with the image, to be compared with it; None when there is none.
        lock_digest: of the lock that came with it.
    """

    require: frozenset[str] = UNSIGNED
    keys: tuple[PublicKey, ...] = ()
    release: Release | None = None
    lock_digest: str | None = None


@dataclass(frozen=True)
class Link:
    """One link of the chain: whether it holds, and what was found or what is wrong."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True)
class Report:
    """All links that were looked at, in their order, of an image by its index digest; what was left out."""

    place: str
    digest: str
    links: tuple[Link, ...]
    remarks: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[Link, ...]:
        """Return the links that do not hold."""
        return tuple(link for link in self.links if not link.holds)

    def check(self) -> None:
        """Raise `EvidenceError` unless all links hold; it names the first that does not, and then the others."""
        if self.broken:
            first, *others = self.broken
            more = f"; broken too: {', '.join(link.name for link in others)}" if others else ""
            raise EvidenceError(f"{self.place}: {first.name} does not hold: {first.detail}{more}")


def verify(registry: Registry, digest: str, policy: Policy) -> Report:
    """Look at every link.

    Args:
        registry: where the image and its evidence are.
        digest: of the image's index.
        policy: what is asked for.

    Raises:
        RegistryError: the registry cannot be reached; everything else that is wrong is in the report.
    """
    image = contents.read(registry, digest)
    found, problems = gather(registry, [digest, *(platform.manifest.digest for platform in image.platforms)])
    chain = _Chain(digest, image, found, problems, policy)
    links: list[Link] = []
    steps: dict[str, Callable[[], Judged]] = {
        "digest": chain.digests,
        "platforms": chain.platforms,
        "release": chain.release,
        "signature": chain.signature,
        "provenance": lambda: chain.of_index("provenance", chain.provenance),
        "sbom": chain.sboms,
        "gate": lambda: chain.of_index("gate", predicates.gate),
        "card": lambda: chain.of_index("card", predicates.card),
    }
    for name, step in steps.items():
        if name in ALWAYS or name in policy.require:
            links.append(_link(name, step()))
    if policy.release is not None:
        links.append(_link("document", chain.document(policy.release)))
    return Report(registry.name, digest, tuple(links), tuple(_printable(text) for text in problems))


def gate(registry: Registry, release: Release, keys: Sequence[PublicKey]) -> Link:
    """Look at the gate of a release alone: quick, since no layer is read.

    Args:
        registry: where the image and its evidence are.
        release: names the image, the model and the evaluation.
        keys: whose signatures count; empty for unsigned evidence too.

    Raises:
        RegistryError: the registry cannot be reached.
    """
    digest = release.image.index_digest
    found, problems = gather(registry, [digest])
    evidence, problem = counted("gate", found[digest], digest, tuple(keys), problems)
    about = About(release.model.name, release.model.version, release.release_digest)
    return _link("gate", _all(problem, [predicates.gate(one.predicate, about) for one in statements(evidence)]))


class _Chain:
    """What was read, and a function for each link."""

    def __init__(
        self, digest: str, image: Contents, found: Mapping[str, Sequence[Attached]], problems: list[str], policy: Policy
    ) -> None:
        self._digest, self._image, self._found, self._problems, self._policy = digest, image, found, problems, policy
        self._about: About | None = None
        if image.model is not None:
            manifest = image.model.manifest
            self._about = About(manifest.name, manifest.model_version, image.model.release_digest, image.model.digests)

    def digests(self) -> Judged:
        image = self._image
        blobs = {layer.digest for platform in image.platforms for layer in platform.layers}
        detail = (
            f"{self._digest}: {len(image.platforms)} manifests, {len(blobs)} layers, {image.size_bytes / 1e6:.1f} MB"
        )
        return Judged(tuple(image.problems), detail)

    def platforms(self) -> Judged:
        names = [platform.name for platform in self._image.platforms]
        problems = [
            f"the index lists {platform.manifest.digest} as {platform.name}, its configuration says {platform.own_name}"
            for platform in self._image.platforms
            if platform.own_name and platform.own_name != platform.name
        ]
        problems += [
            f"{name} is listed {names.count(name)} times" for name in sorted(set(names)) if names.count(name) > 1
        ]
        if not names:
            problems.append("none can be read")
        return Judged(tuple(problems), ", ".join(names))

    def release(self) -> Judged:
        model = self._image.model
        if model is None or not self._image.platforms:
            return Judged(tuple(self._image.model_problems) or ("the model's layer cannot be read",), "")
        places = {"the index": self._image.annotations}
        places.update({platform.name: platform.labels for platform in self._image.platforms})
        problems = [
            f"{place} is labelled {labels.get(RELEASE_LABEL)}, the model's layer holds {model.release_digest}"
            for place, labels in places.items()
            if labels.get(RELEASE_LABEL) != model.release_digest
        ]
        return Judged(tuple(problems), f"{model.release_digest}: {model.manifest.name} {model.manifest.model_version}")

    def signature(self) -> Judged:
        keys = self._policy.keys
        if not keys:
            return Judged(("no public key was given to verify with",), "")
        evidence, problem = self._of("signature", self._digest)
        names = sorted({key.name for one in evidence if (key := signed_by(one, keys)) is not None})
        return Judged((problem,) if problem else (), f"by {', '.join(names)} over {self._digest}")

    def of_index(self, name: str, judge: Callable[[Mapping[str, object], About], Judged]) -> Judged:
        """Judge the evidence of one kind about the index."""
        evidence, problem = self._of(name, self._digest)
        about = self._about
        if about is None:
            return Judged((problem or "the image's model cannot be read, so it is about nothing known",), "")
        return _all(problem, [judge(one.predicate, about) for one in statements(evidence)])

    def provenance(self, predicate: Mapping[str, object], about: About) -> Judged:
        return predicates.provenance(predicate, about, self._policy.lock_digest)

    def sboms(self) -> Judged:
        results = [
            Judged(
                tuple(f"{platform.name}: {problem}" for problem in found.problems), f"{platform.name} {found.detail}"
            )
            for platform in self._image.platforms
            for found in [self._sbom(platform.manifest.digest)]
        ]
        if not results:
            return Judged(("no platform can be read",), "")
        problems = tuple(problem for one in results for problem in one.problems)
        return Judged(problems, ", ".join(one.detail for one in results))

    def _sbom(self, manifest: str) -> Judged:
        evidence, problem = self._of("sbom", manifest)
        about = self._about
        if about is None:
            return Judged((problem or "the image's model cannot be read, so it cannot be compared",), "")
        return _all(problem, [predicates.sbom(one.predicate, about, manifest) for one in statements(evidence)])

    def document(self, release: Release) -> Judged:
        """Compare `release.json` with the image and its evidence."""
        problems = []
        names = tuple(platform.name for platform in self._image.platforms)
        if self._about is not None and self._about.release_digest != release.release_digest:
            problems.append(f"says release {release.release_digest}, the image holds {self._about.release_digest}")
        if self._about is not None and (self._about.name, self._about.version) != (
            release.model.name,
            release.model.version,
        ):
            problems.append(f"is of {release.model.name} {release.model.version}, the image is of {self._about.name}")
        if sorted(release.image.platforms) != sorted(names):
            problems.append(f"names {', '.join(release.image.platforms)}, the image has {', '.join(names) or 'none'}")
        problems += predicates.failures(release.evaluation)
        there = {one.digest: one.statement for found in self._found.values() for one in found if one.statement}
        for wanted in release.attestations:
            statement = there.get(wanted.digest)
            if statement is None or statement.predicate_type != wanted.predicate_type:
                problems.append(f"lists {wanted.predicate_type} {wanted.digest}, which is not attached to the image")
        measured = [predicates.evaluation(one.predicate) for one in statements(self._of("gate", self._digest)[0])]
        if any(one != release.evaluation for one in measured):
            problems.append("has another evaluation than the gate's evidence")
        return Judged(tuple(problems), f"release.json agrees, {len(release.attestations)} attestations")

    def _of(self, name: str, subject: str) -> tuple[list[Attached], str]:
        return counted(name, self._found[subject], subject, self._policy.keys, self._problems)


def _all(problem: str, judged: Sequence[Judged]) -> Judged:
    """Join what was found: every statement that counts must hold."""
    if problem:
        return Judged((problem,), "")
    problems = tuple(dict.fromkeys(text for one in judged for text in one.problems))
    return Judged(problems, judged[0].detail if judged else "")


def _link(name: str, judged: Judged) -> Link:
    detail = "; ".join(judged.problems) if judged.problems else judged.detail
    return Link(name, not judged.problems, _printable(detail))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
