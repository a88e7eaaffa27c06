"""Facts as named texts, which can be compared one by one."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields

from trihull_packaging.inspecting.facts import Configuration, ImageFacts, ModelFacts
from trihull_runtime.contract.release import Evaluation


def model_texts(model: ModelFacts | None) -> dict[str, str]:
    """Return what a model is; empty without one."""
    if model is None:
        return {}
    classes = ", ".join(model.classes)
    texts = {"name": model.name, "version": model.version, "framework": model.framework, "format": model.format}
    return {**texts, "classes": classes, "release digest": model.release_digest}


def gate_texts(evaluation: Evaluation | None) -> dict[str, str]:
    """Return metric -> its gate and whether it was met, and the verdict; empty without an evaluation."""
    if evaluation is None:
        return {}
    gates = {
        gate.metric: f"at least {gate.minimum:g}: {'passed' if gate.passed else 'failed'}" for gate in evaluation.gates
    }
    return {**gates, "verdict": str(evaluation.verdict)}


def evidence_texts(image: ImageFacts) -> dict[str, str]:
    """Return evidence by type and by what it is attached to, which has another digest in every image."""
    of = {one.digest: f" of {one.platform}" for one in image.platforms if one.digest != image.digest}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for one in image.attestations:
        found[f"{one.predicate_type}{of.get(one.subject, '')}"].append("signed" if one.signed else "unsigned")
    return {key: ", ".join(sorted(states)) for key, states in found.items()}


def configuration_texts(configuration: Configuration) -> dict[str, str]:
    """Return a setting\'s name -> its value, each variable and each label by itself."""
    texts: dict[str, str] = {}
    for field in fields(configuration):
        value = getattr(configuration, field.name)
        if isinstance(value, Mapping):
            texts |= {f"{field.name}.{key}": str(item) or "(empty)" for key, item in value.items()}
        else:
            texts[field.name] = " ".join(value) if isinstance(value, tuple) else str(value)
    return texts
