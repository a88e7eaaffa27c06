"""Which evidence counts: about this subject, and signed by one of the keys when there are any."""

from collections.abc import Sequence
from typing import Final

from trihull_runtime.artifacts.errors import ContentError, LayoutError
from trihull_runtime.artifacts.evidence import attached
from trihull_runtime.artifacts.evidence.attached import Attached
from trihull_runtime.artifacts.evidence.signing import PublicKey, signer
from trihull_runtime.artifacts.evidence.statement import GATE, MODEL_CARD, PROVENANCE, SBOM, SIGNATURE, Statement
from trihull_runtime.artifacts.registry.protocol import Registry

KINDS: Final = {"signature": SIGNATURE, "provenance": PROVENANCE, "sbom": SBOM, "gate": GATE, "card": MODEL_CARD}


def gather(registry: Registry, subjects: Sequence[str]) -> tuple[dict[str, tuple[Attached, ...]], list[str]]:
    """Return subject -> its evidence, and what of it cannot be read."""
    found: dict[str, tuple[Attached, ...]] = {}
    problems = []
    for subject in subjects:
        try:
            found[subject] = attached.read(registry, subject)
        except (LayoutError, ContentError) as error:
            found[subject] = ()
            problems.append(str(error))
        problems += [one.problem for one in found[subject] if one.problem]
    return found, problems


def counted(
    name: str, found: Sequence[Attached], subject: str, keys: tuple[PublicKey, ...], problems: Sequence[str]
) -> tuple[list[Attached], str]:
    """Return the evidence that counts, or else why there is none.

    Args:
        name: one of `KINDS`.
        found: what is attached to the subject.
        subject: a digest.
        keys: whose signatures count; empty for unsigned evidence too.
        problems: what could not be read.
    """
    of_kind = [one for one in found if one.statement and one.statement.predicate_type == KINDS[name]]
    about = [one for one in of_kind if one.statement and one.statement.is_about(subject)]
    counting = [one for one in about if not keys or signed_by(one, keys) is not None]
    if counting:
        return counting, ""
    if about:
        hints = sorted({one.envelope.hint for one in about if one.envelope is not None})
        other = f"signed by another key ({', '.join(hints):.200})" if hints else "not signed"
        return [], f"it is {other}; given: {', '.join(f'{key.name} ({key.hint})' for key in keys)}"
    if of_kind:
        subjects = [named.digest for statement in statements(of_kind) for named in statement.subjects]
        return [], f"it is about {', '.join(subjects[:3])}, not about {subject}"
    unread = f"; {len(problems)} pieces of evidence cannot be read: {problems[0]}" if problems else ""
    return [], f"there is none for {subject}{unread}"


def signed_by(one: Attached, keys: Sequence[PublicKey]) -> PublicKey | None:
    """Return which of the keys signed it, None when none did."""
    return signer(one.envelope, keys) if one.envelope is not None else None


def statements(found: Sequence[Attached]) -> list[Statement]:
    """Return what evidence says, of that which can be read."""
    return [one.statement for one in found if one.statement is not None]
