"""The model card: what the model is, how good it is and how that was measured, for machines and for people."""

from collections.abc import Iterator
from typing import Any

from trihull_packaging.evidence.subject import Subject
from trihull_runtime.artifacts.evidence.predicates import ModelCard
from trihull_runtime.contract.manifest import Tensor


def document(subject: Subject) -> dict[str, Any]:
    """Return the predicate."""
    manifest = subject.manifest
    return ModelCard(
        version=ModelCard.CURRENT,
        name=manifest.name,
        model_version=manifest.model_version,
        framework=manifest.framework,
        format=manifest.format,
        release_digest=subject.release_digest,
        signature=manifest.signature,
        classes=manifest.classes,
        evaluation=subject.evaluation,
        test_rows=subject.test_rows,
        parity=subject.parity,
        environment=dict(sorted(manifest.environment.items())),
        text=text(subject),
    ).to_value()


def text(subject: Subject) -> str:
    """Return the card as Markdown."""
    return "\n".join(_lines(subject)) + "\n"


def _lines(subject: Subject) -> Iterator[str]:
    manifest, parity = subject.manifest, subject.parity
    yield f"# {manifest.name} {manifest.model_version}"
    yield ""
    yield f"Made with {manifest.framework}, served as {manifest.format}. Release {subject.release_digest}."
    yield ""
    yield "## Takes and gives"
    yield ""
    for side, tensors in (("input", manifest.signature.inputs), ("output", manifest.signature.outputs)):
        for tensor in tensors:
            yield f"- {side} `{tensor.name}`: {tensor.datatype.value}, {_shape(tensor)}"
    yield f"- classes: {', '.join(manifest.classes)}"
    yield ""
    yield f"## How good it is, on {subject.test_rows} rows of the test split"
    yield ""
    yield "| metric | value | at least | |"
    yield "|---|---|---|---|"
    gates = {gate.metric: gate for gate in subject.evaluation.gates}
    for metric, value in sorted(subject.evaluation.metrics.items()):
        gate = gates.get(metric)
        verdict = ("passed" if gate.passed else "failed") if gate is not None else ""
        yield f"| {metric} | {value:.4f} | {f'{gate.minimum:g}' if gate is not None else ''} | {verdict} |"
    yield ""
    yield (
        f"Measured on the converted model. It was compared with the trained one on {parity.rows} rows: labels equal,"
        f" probabilities within {parity.worst_probability:.1e} (allowed: {parity.tolerance:g})."
    )
    yield ""
    yield "## Runs in"
    yield ""
    for part, digest in sorted(manifest.environment.items()):
        yield f"- {part}: {digest}"


def _shape(tensor: Tensor) -> str:
    return " x ".join("any" if size < 0 else str(size) for size in tensor.shape)
