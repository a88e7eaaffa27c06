"""Whether an image's evidence holds: a chain of links from the image's digest to the gate, each looked at by itself.

The image of a model has a release, a gate and a model card; the router's image has none of the three.

Nothing is believed that can be counted, and evidence counts only when it is about this image. With keys, it counts
only when one of them signed it: whoever can write to a registry can add statements, but cannot sign them.
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trihull_runtime.artifacts.errors import EvidenceError
from trihull_runtime.artifacts.evidence import contents, predicates
from trihull_runtime.artifacts.evidence.attached import Attached
from trihull_runtime.artifacts.evidence.contents import (
    RELEASE_LABEL,
    ROUTER_MODULE,
    ROUTER_TITLE,
    TITLE_LABEL,
    VERSION_LABEL,
    Contents,
    Platform,
)
from trihull_runtime.artifacts.evidence.counting import counted, gather, signed_by, statements
from trihull_runtime.artifacts.evidence.predicates import About, Judged
from trihull_runtime.artifacts.evidence.signing import PublicKey
from trihull_runtime.artifacts.registry.protocol import Registry
from trihull_runtime.contract.release import Attestation, Release, RouterBuild

ALWAYS: Final = ("digest", "platforms")
EVIDENCE: Final = ("release", "signature", "provenance", "sbom", "gate", "card")
LINKS: Final = (*ALWAYS, *EVIDENCE)
UNSIGNED: Final = frozenset(LINKS) - {"signature"}
ROUTER_LINKS: Final = (*ALWAYS, "router", "signature", "provenance", "sbom")
KNOWN_LINKS: Final = (*LINKS, "router")
MODEL_ONLY: Final = ("release", "gate", "card")


class Kind(enum.StrEnum):
    """What an image is: a model with its server, or the router."""

    MODEL = "model"
    ROUTER = "router"


@dataclass(frozen=True)
class Policy:
    """What is asked for.

    Attributes:
        require: links beside `ALWAYS`; None asks for all that an image of its kind has, the signature with keys only.
        keys: whose signatures count; without any, evidence counts unsigned.
        release: the release document that came with the image, to be compared with it; None when there is none.
        lock_digest: of the lock that came with it.
        router: the router build's document that came with the image: then the image must be a router's.
    """

    require: frozenset[str] | None = None
    keys: tuple[PublicKey, ...] = ()
    release: Release | None = None
    lock_digest: str | None = None
    router: RouterBuild | None = None

    def of(self, kind: Kind) -> frozenset[str]:
        """Return the links to look at beside `ALWAYS`."""
        if self.require is not None:
            return self.require
        links = frozenset(LINKS if kind is Kind.MODEL else ROUTER_LINKS)
        return links if self.keys else links - {"signature"}


@dataclass(frozen=True)
class Link:
    """One link of the chain: whether it holds, and what was found or what is wrong."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True)
class Report:
    """All links that were looked at, in their order, of an image by its index digest; its kind; what was left out."""

    place: str
    digest: str
    links: tuple[Link, ...]
    remarks: tuple[str, ...] = ()
    kind: Kind = Kind.MODEL

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
    kind = Kind.ROUTER if policy.router is not None or image.says_router else Kind.MODEL
    chain = _Chain(digest, image, found, problems, policy, kind)
    links: list[Link] = []
    steps: dict[str, Callable[[], Judged]] = {
        "digest": chain.digests,
        "platforms": chain.platforms,
        "release": chain.release,
        "router": chain.router,
        "signature": chain.signature,
        "provenance": lambda: chain.of_index("provenance", chain.provenance),
        "sbom": chain.sboms,
        "gate": lambda: chain.of_index("gate", predicates.gate),
        "card": lambda: chain.of_index("card", predicates.card),
    }
    for name, step in steps.items():
        if name in ALWAYS or name in policy.of(kind):
            links.append(_link(name, step()))
    if policy.release is not None:
        links.append(_link("document", chain.document(policy.release)))
    if policy.router is not None:
        links.append(_link("document", chain.router_document(policy.router)))
    return Report(registry.name, digest, tuple(links), tuple(_printable(text) for text in problems), kind)


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
        self,
        digest: str,
        image: Contents,
        found: Mapping[str, Sequence[Attached]],
        problems: list[str],
        policy: Policy,
        kind: Kind,
    ) -> None:
        self._digest, self._image, self._found, self._problems, self._policy = digest, image, found, problems, policy
        self._kind, self._about = kind, _about(image, kind)

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

    def router(self) -> Judged:
        image = self._image
        problems: list[str] = []
        version = image.annotations.get(VERSION_LABEL)
        if not image.says_router:
            title = image.annotations.get(TITLE_LABEL)
            problems.append(f"the index is labelled {title}, not {ROUTER_TITLE}, or names a release or holds a model")
        if not isinstance(version, str) or not version:
            problems.append(f"the index has no {VERSION_LABEL}")
        readable = [platform for platform in image.platforms if platform.own_name]
        problems += [problem for platform in readable for problem in _not_router(platform, version)]
        if not readable:
            problems.append("no platform can be read")
        return Judged(tuple(problems), f"{ROUTER_TITLE} {version}, runs {ROUTER_MODULE}; it holds no model")

    def release(self) -> Judged:
        if self._kind is Kind.ROUTER:
            return Judged(("the router's image holds no model, so it has no release",), "")
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
        if self._kind is Kind.ROUTER and name in MODEL_ONLY:
            return Judged((f"the router's image holds no model, so it has no {name}",), "")
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
        problems += self._missing(release.attestations)
        measured = [predicates.evaluation(one.predicate) for one in statements(self._of("gate", self._digest)[0])]
        if any(one != release.evaluation for one in measured):
            problems.append("has another evaluation than the gate's evidence")
        return Judged(tuple(problems), f"release.json agrees, {len(release.attestations)} attestations")

    def router_document(self, build: RouterBuild) -> Judged:
        """Compare `router.json` with the image and its evidence."""
        problems = self._missing(build.attestations)
        if build.index_digest != self._digest:
            problems.append(f"names {build.index_digest}, and {self._digest} was verified")
        return Judged(tuple(problems), f"router.json agrees, {len(build.attestations)} attestations")

    def _missing(self, attestations: Sequence[Attestation]) -> list[str]:
        """Return what of the evidence that a document lists is not attached to the image."""
        there = {one.digest: one.statement for found in self._found.values() for one in found if one.statement}
        problems = []
        for wanted in attestations:
            statement = there.get(wanted.digest)
            if statement is None or statement.predicate_type != wanted.predicate_type:
                problems.append(f"lists {wanted.predicate_type} {wanted.digest}, which is not attached to the image")
        return problems

    def _of(self, name: str, subject: str) -> tuple[list[Attached], str]:
        return counted(name, self._found[subject], subject, self._policy.keys, self._problems)


def _about(image: Contents, kind: Kind) -> About | None:
    """Return what evidence must agree with; None when the image does not say it."""
    if kind is Kind.ROUTER:
        return About(ROUTER_TITLE, str(image.annotations.get(VERSION_LABEL)), "")
    if image.model is None:
        return None
    manifest = image.model.manifest
    return About(manifest.name, manifest.model_version, image.model.release_digest, image.model.digests)


def _not_router(platform: Platform, version: object) -> Iterator[str]:
    """Give what of a platform's configuration is not as in the router's image."""
    labels = platform.labels
    if (labels.get(TITLE_LABEL), labels.get(VERSION_LABEL)) != (ROUTER_TITLE, version) or RELEASE_LABEL in labels:
        yield f"{platform.name} is labelled {labels.get(TITLE_LABEL)} {labels.get(VERSION_LABEL)}, the index {version}"
    if platform.entrypoint[-2:] != ("-m", ROUTER_MODULE):
        yield f"{platform.name} does not run {ROUTER_MODULE}, but {' '.join(map(str, platform.entrypoint))!r:.120}"


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
