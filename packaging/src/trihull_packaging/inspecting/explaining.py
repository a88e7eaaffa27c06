"""Why two images have different digests, in sentences: for an error message, where no table fits."""

from collections.abc import Iterable
from typing import Final

from trihull_packaging.inspecting.difference import Difference, FileChanges, Kind, LayerChange, PlatformDifference
from trihull_packaging.inspecting.printing import printable

NAMED_MAX: Final = 3  # files of a layer, or settings of a configuration


def reasons(found: Difference) -> tuple[str, ...]:
    """Return one sentence for each layer and each configuration that is another; none when the images are identical.

    What stands in them is fit for a terminal.
    """
    if found.identical:
        return ()
    said = [f"only the first has {name}" for name in found.platforms_removed]
    said += [f"only the second has {name}" for name in found.platforms_added]
    for one in found.platforms:
        if not one.identical:
            said += [f"{one.platform}: {sentence}" for sentence in _platform(one)]
    return tuple(said) or ("the documents of the index are written in other bytes",)


def _platform(one: PlatformDifference) -> Iterable[str]:
    before = list(_layers(one.layers))
    if one.configuration:
        before.append(f"the configuration differs in {_named([change.key for change in one.configuration])}")
    return before or ["layers and configuration say the same, but are written in other bytes"]


def _layers(changes: Iterable[LayerChange]) -> Iterable[str]:
    for change in changes:
        name = f"layer '{printable(change.purpose)}'" if change.purpose else f"layer {_digest(change)}"
        match change.kind:
            case Kind.EQUAL:
                pass
            case Kind.RECOMPRESSED:
                yield f"{name} holds the same in other bytes: another compressor"
            case Kind.CHANGED:
                yield f"{name} differs{_files(change.files)}"
            case Kind.ADDED:
                yield f"{name} is only in the second"
            case Kind.REMOVED:
                yield f"{name} is only in the first"


def _digest(change: LayerChange) -> str:
    layer = change.other or change.one
    return layer.digest if layer is not None else ""


def _files(files: FileChanges | None) -> str:
    if files is None:
        return ""
    kinds = (("added", files.added), ("gone", files.removed), ("changed", files.changed))
    named = [
        f"{what}: {_named(names)}" for what, names in (*kinds, ("other mode, owner or time", files.retouched)) if names
    ]
    return f" ({'; '.join(named)})" if named else " (the same files: the archives differ in order or headers)"


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    shown = ", ".join(printable(name) for name in listed[:NAMED_MAX])
    return f"{shown} and {len(listed) - NAMED_MAX} more" if len(listed) > NAMED_MAX else shown
