"""An image on the terminal: what it is, how it runs, what is in it, what is known about it."""

from collections.abc import Iterable, Mapping
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trihull_packaging.inspecting.facts import (
    ImageFacts,
    InstalledPackage,
    LayerFacts,
    LayerState,
    ModelFacts,
    PlatformFacts,
)
from trihull_packaging.inspecting.printing import printable, short, size
from trihull_packaging.inspecting.signatures import tensors
from trihull_runtime.artifacts.evidence.contents import ROUTER_TITLE, TITLE_LABEL, VERSION_LABEL
from trihull_runtime.contract.release import Evaluation

LARGEST: Final = 10  # packages that are shown; --json has all
KNOWN_TYPES: Final = (
    ("https://cyclonedx.org/bom", "SBOM (CycloneDX)"),
    ("https://spdx.dev/Document", "SBOM (SPDX)"),
    ("https://slsa.dev/provenance/", "provenance (SLSA)"),
    ("https://trihull.dev/gate/", "gate"),
    ("https://trihull.dev/model-card/", "model card"),
    ("https://sigstore.dev/cosign/sign/", "signature"),
)


def show(console: Console, image: ImageFacts) -> None:
    """Print an image's facts."""
    alike = len({repr((one.configuration, one.shells)) for one in image.platforms}) == 1
    console.print(_head(image))
    if alike:
        console.print(section("how it runs", _running(image.platforms[0])))
    for one in image.platforms:
        console.print(section(one.platform, _platform(one, with_configuration=not alike)))
    for part in (*_evaluation(image), *_attestations(image), *remarks(image)):
        console.print(part)


def plain(text: str, style: str = "") -> Text:
    """Return a text that rich shows as it is: it reads no markup in it."""
    return Text(printable(text), style=style)


def table(*columns: str, numbers: Iterable[str] = ()) -> Table:
    """Return an empty table in this command's form; the columns in `numbers` are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    right = set(numbers)
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=name in right, overflow="fold")
    return made


def pairs(rows: Mapping[str, str | Text]) -> Table:
    """Return lines of a name and its value; empty values are left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            grid.add_row(name, plain(value) if isinstance(value, str) else value)
    return grid


def section(title: str, content: RenderableType) -> RenderableType:
    """Return a titled part, set apart by a line."""
    return Padding(Group(plain(title, style="bold cyan"), Padding(content, (0, 0, 0, 2))), (1, 0, 0, 0))


def _head(image: ImageFacts) -> RenderableType:
    kind = "index" if image.index_bytes and "manifest.v" not in image.media_type else "single image"
    rows: dict[str, str | Text] = {
        "image": image.name,
        "digest": image.digest,
        "kind": f"{kind}, {image.media_type}",
        "platforms": ", ".join(one.platform for one in image.platforms),
        "size": f"{size(image.size_bytes)} compressed" + (", in all" if len(image.platforms) > 1 else ""),
    }
    return pairs({**rows, **(_model(image.model) if image.model is not None else _without_model(image))})


def _without_model(image: ImageFacts) -> dict[str, str | Text]:
    labels = image.platforms[0].configuration.labels if image.platforms else {}
    if labels.get(TITLE_LABEL) != ROUTER_TITLE:
        return {"model": "none is known"}
    return {"router": labels.get(VERSION_LABEL, "its version is not known"), "model": "none: the router's image"}


def _model(model: ModelFacts) -> dict[str, str | Text]:
    made = ", ".join(filter(None, (model.format, f"from {model.framework}" if model.framework else "")))
    return {
        "model": f"{model.name} {model.version}" + (f" ({made})" if made else ""),
        "release": model.release_digest,
        **tensors(model.signature),
        "classes": f"{len(model.classes)}: {', '.join(model.classes)}" if model.classes else "",
    }


def _platform(one: PlatformFacts, *, with_configuration: bool) -> RenderableType:
    parts: list[RenderableType] = [pairs({"manifest": one.digest})]
    parts += [_running(one)] if with_configuration else []
    return Group(*parts, Text(), _layers(one), Text(), _packages(one))


def _running(one: PlatformFacts) -> RenderableType:
    configuration, shells = one.configuration, one.shells
    user = configuration.user or "0"
    root = user.partition(":")[0] in ("0", "root")
    shell = "not known (--deep looks)" if shells is None else ", ".join(shells) or "none"
    environment = (f"{name}={value}" for name, value in configuration.environment.items())
    labels = (f"{name}={value}" for name, value in configuration.labels.items())
    rows: dict[str, str | Text] = {
        "user": plain(f"{user}{' (root)' if root else ''}", style="yellow" if root else ""),
        "shell": shell,
        "entrypoint": " ".join(configuration.entrypoint),
        "command": " ".join(configuration.command),
        "ports": ", ".join(configuration.ports),
        "environment": _lines(environment),
        "labels": _lines(labels),
    }
    return pairs(rows)


def _lines(texts: Iterable[str]) -> Text:
    return Text("\n").join(plain(text) for text in texts)


def _layers(one: PlatformFacts) -> RenderableType:
    shown = table("layer", "compressed", "unpacked", "digest", "diff id", numbers=("compressed", "unpacked"))
    for layer in one.layers:
        shown.add_row(
            _purpose(layer),
            size(layer.size_bytes),
            size(layer.unpacked_bytes),
            short(layer.digest),
            short(layer.diff_id),
        )
    shown.add_section()
    shown.add_row(Text("total", style="bold"), size(one.size_bytes), size(one.unpacked_bytes), "", "")
    return shown


def _purpose(layer: LayerFacts) -> Text:
    said = plain(layer.purpose or "(its history does not say)")
    match layer.state:
        case LayerState.DAMAGED:
            said.append(" DAMAGED", style="bold red")
        case LayerState.UNSUPPORTED:
            said.append_text(plain(f" ({layer.detail})", style="yellow"))
        case LayerState.READ | LayerState.UNREAD:
            pass
    return said


def _packages(one: PlatformFacts) -> RenderableType:
    if one.packages is None:
        return pairs({"packages": one.packages_from})
    if not one.packages:
        return pairs({"packages": f"none found in {one.packages_from}"})
    ranked = sorted(one.packages, key=lambda found: (-(found.size_bytes or 0), found.name))
    shown = table("largest packages", "version", "unpacked", "kind", numbers=("unpacked",))
    for found in ranked[:LARGEST]:
        shown.add_row(plain(found.name), plain(found.version), size(found.size_bytes), plain(found.kind))
    if len(ranked) > LARGEST:
        rest = _total(ranked[LARGEST:])
        shown.add_row(Text(f"{len(ranked) - LARGEST} more", style="dim"), "", size(rest), "")
    return Group(shown, plain(f"by {one.packages_from}", style="dim"))


def _total(packages: Iterable[InstalledPackage]) -> int:
    return sum(one.size_bytes or 0 for one in packages)


def _evaluation(image: ImageFacts) -> Iterable[RenderableType]:
    if image.evaluation is None:
        return
    yield section(f"evaluation: {image.evaluation.verdict}", Group(*evaluation_parts(image.evaluation)))
    yield Padding(plain(f"by {image.evaluation_from}", style="dim"), (0, 0, 0, 2))


def evaluation_parts(evaluation: Evaluation) -> Iterable[RenderableType]:
    """Yield the metrics, each beside its gate."""
    gates = {gate.metric: gate for gate in evaluation.gates}
    shown = table("metric", "value", "gate", "", numbers=("value", "gate"))
    for name, value in evaluation.metrics.items():
        gate = gates.pop(name, None)
        outcome = Text() if gate is None else passed(gate.passed)
        shown.add_row(plain(name), f"{value:.4f}", "" if gate is None else f">= {gate.minimum:g}", outcome)
    for name, gate in gates.items():
        shown.add_row(plain(name), f"{gate.value:.4f}", f">= {gate.minimum:g}", passed(gate.passed))
    yield shown


def passed(holds: bool) -> Text:
    """Return a gate's outcome."""
    return Text("passed", style="green") if holds else Text("FAILED", style="bold red")


def _attestations(image: ImageFacts) -> Iterable[RenderableType]:
    if not image.attestations:
        yield section("attestations", Text("none"))
        return
    of = {one.digest: one.platform for one in image.platforms} | {image.digest: "the image"}
    shown = table("attestation", "of", "signed", "size", "digest", numbers=("size",))
    for one in image.attestations:
        signed = "yes" if one.signed else "no"
        shown.add_row(
            plain(kind_of(one.predicate_type)),
            plain(of.get(one.subject, short(one.subject))),
            signed,
            size(one.size_bytes),
            short(one.digest),
        )
    hint = Text("whether they hold: trihull verify", style="dim")
    yield section("attestations", Group(shown, hint))


def kind_of(predicate_type: str) -> str:
    """Return what people call a predicate type; its URI when it has no such name here."""
    for beginning, name in KNOWN_TYPES:
        if predicate_type.startswith(beginning):
            return name
    return predicate_type


def remarks(image: ImageFacts) -> Iterable[RenderableType]:
    """Yield what was left out, and what is damaged."""
    said = [plain(one, style="yellow") for one in image.remarks]
    said += [plain(one, style="red") for one in image.damage]
    if said:
        yield section("remarks", Group(*said))
