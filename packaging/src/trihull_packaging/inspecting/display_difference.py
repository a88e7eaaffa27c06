"""Two images side by side on the terminal: first what it comes to, then where it comes from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from trihull_packaging.inspecting.difference import (
    Change,
    Difference,
    FileChanges,
    Kind,
    LayerChange,
    NumberChange,
    PackageChange,
    PlatformDifference,
)
from trihull_packaging.inspecting.display import kind_of, pairs, plain, section, table
from trihull_packaging.inspecting.facts import ImageFacts
from trihull_packaging.inspecting.printing import printable, size

FILES_SHOWN: Final = 8  # of a layer; --json has all
PACKAGES_SHOWN: Final = 30
KEY_WIDTH: Final = 40  # of a name beside its two values, before it is broken
STYLES: Final[Mapping[Kind, str]] = {
    Kind.EQUAL: "green",
    Kind.RECOMPRESSED: "yellow",
    Kind.CHANGED: "yellow",
    Kind.ADDED: "yellow",
    Kind.REMOVED: "yellow",
}


def show(console: Console, one: ImageFacts, other: ImageFacts, found: Difference) -> None:
    """Print the difference of two images."""
    console.print(_head(one, other, found))
    if found.identical:
        return
    for part in _parts(found):
        console.print(part)


def _head(one: ImageFacts, other: ImageFacts, found: Difference) -> RenderableType:
    rows: dict[str, str | Text] = {"one": _named(one), "other": _named(other)}
    if found.identical:
        return pairs({**rows, "": Text("identical: one digest", style="bold green")})
    changed = sum(change.kind is not Kind.EQUAL for platform in found.platforms for change in platform.layers)
    total = sum(len(platform.layers) for platform in found.platforms)
    evidence = f", and {size(found.evidence_bytes)} of evidence" if found.evidence_bytes else ""
    return pairs(
        {
            **rows,
            "layers": f"{changed} of {total} are others",
            "to send": f"{size(found.bytes_to_send)}{evidence} to a registry that has the first",
            "platforms added": ", ".join(found.platforms_added),
            "platforms gone": ", ".join(found.platforms_removed),
        }
    )


def _named(image: ImageFacts) -> Text:
    model = f"{image.model.name} {image.model.version} in " if image.model else ""
    return Text("\n").join([plain(f"{model}{image.name}"), plain(image.digest)])


def _parts(found: Difference) -> Iterable[RenderableType]:
    for title, changes in (("model", found.model), ("signature", found.signature)):
        if changes:
            yield section(title, changed_texts(changes))
    if found.metrics is None:
        yield section("metrics", Text("not compared: the evaluation of one is not known"))
    elif found.metrics:
        yield section("metrics", _metrics(found.metrics))
    if found.gates:
        yield section("gates", changed_texts(found.gates))
    alike = len(found.platforms) > 1 and len({one.configuration for one in found.platforms}) == 1
    if alike and found.platforms[0].configuration:
        yield section("configuration of every platform", changed_texts(found.platforms[0].configuration))
    for one in found.platforms:
        yield section(one.platform, _platform(one, with_configuration=not alike))
    if found.attestations:
        named = tuple(Change(kind_of(one.key), one.one, one.other) for one in found.attestations)
        yield section("attestations", changed_texts(named))


def _platform(one: PlatformDifference, *, with_configuration: bool) -> RenderableType:
    if one.identical:
        return Text("identical", style="green")
    parts: list[RenderableType] = [_layers(one.layers)]
    parts += [files_changed(change) for change in one.layers if change.files is not None]
    if one.packages is None:
        parts += [Text(), Text("packages: not known on both sides (--deep reads the layers)")]
    elif one.packages:
        parts += [Text(), _packages(one.packages)]
    if one.configuration and with_configuration:
        parts += [Text(), changed_texts(one.configuration, title="configuration")]
    if not one.configuration and all(change.kind is Kind.EQUAL for change in one.layers):
        parts += [Text(), Text("layers and configuration say the same: their documents are written in other bytes")]
    return Group(*parts)


def _layers(changes: Iterable[LayerChange]) -> RenderableType:
    shown = table("layer", "", "one", "other", "change", numbers=("one", "other", "change"))
    for change in changes:
        shown.add_row(
            plain(change.purpose or "(its history does not say)"),
            Text(change.kind, style=STYLES[change.kind]),
            size(change.one.size_bytes if change.one else None),
            size(change.other.size_bytes if change.other else None),
            "" if change.kind is Kind.EQUAL else size(change.delta_bytes, signed=True),
        )
    return shown


def files_changed(change: LayerChange) -> RenderableType:
    """Return which files make a layer another."""
    files = change.files or FileChanges((), (), (), ())
    title = plain(f"files of {change.purpose}:", style="bold")
    kinds = (("added", files.added), ("gone", files.removed), ("changed", files.changed))
    named = [(what, names) for what, names in (*kinds, ("other mode, owner or time", files.retouched)) if names]
    if not named:
        return Group(Text(), title, Text("  the same files: the archives differ in their order or headers"))
    grid = pairs({f"  {what}": _listed(names) for what, names in named})
    return Group(Text(), title, grid)


def _listed(names: Sequence[str]) -> Text:
    more = [Text(f"and {len(names) - FILES_SHOWN} more", style="dim")] if len(names) > FILES_SHOWN else []
    return Text("\n").join([*map(plain, names[:FILES_SHOWN]), *more])


def _packages(changes: Sequence[PackageChange]) -> RenderableType:
    shown = table("package", "one", "other", "unpacked", "kind", numbers=("unpacked",))
    for change in changes[:PACKAGES_SHOWN]:
        delta = None
        if (change.one_bytes is not None or not change.one) and (change.other_bytes is not None or not change.other):
            delta = (change.other_bytes or 0) - (change.one_bytes or 0)
        was, now = change.one or "(none)", change.other or "(none)"
        shown.add_row(plain(change.name), plain(was), plain(now), size(delta, signed=True), plain(change.kind))
    if len(changes) > PACKAGES_SHOWN:
        shown.add_row(Text(f"{len(changes) - PACKAGES_SHOWN} more", style="dim"))
    return shown


def _metrics(changes: Iterable[NumberChange]) -> RenderableType:
    shown = table("metric", "one", "other", "change", numbers=("one", "other", "change"))
    for change in changes:
        both = change.one is not None and change.other is not None
        delta = f"{(change.other or 0) - (change.one or 0):+.4f}" if both else ""
        shown.add_row(plain(change.key), _number(change.one), _number(change.other), delta)
    return shown


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def changed_texts(changes: Sequence[Change], title: str = "") -> RenderableType:
    """Return texts side by side."""
    shown = table(title, "one", "other")
    shown.columns[0].min_width = min(KEY_WIDTH, max(len(printable(change.key)) for change in changes))
    for change in changes:
        shown.add_row(plain(change.key), plain(change.one or "(none)"), plain(change.other or "(none)"))
    return shown
