"""Which files make two layers differ: read from both, a file at a time."""

from dataclasses import replace

from trihull_packaging.inspecting.difference import Difference, FileChanges, Kind, LayerChange, PlatformDifference
from trihull_packaging.inspecting.facts import LayerFacts
from trihull_packaging.inspecting.gathering import Meter, unmetered
from trihull_packaging.inspecting.layers import LayerContents, read_layer
from trihull_runtime.artifacts.registry.protocol import Descriptor, Registry


def with_files(found: Difference, one: Registry, other: Registry, meter: Meter = unmetered) -> Difference:
    """Return a difference whose changed layers also say which files are others.

    A layer that cannot be read stays without. A layer that platforms share is read once.

    Args:
        found: of two images.
        one: holds the first image.
        other: holds the second.
        meter: see `gathering.Options`.

    Raises:
        RegistryError: a registry cannot be reached.
    """
    changed = [change for platform in found.platforms for change in platform.layers if change.kind is Kind.CHANGED]
    pairs = {(change.one, change.other) for change in changed if change.one is not None and change.other is not None}
    total = sum(before.size_bytes + after.size_bytes for before, after in pairs)
    compared: dict[tuple[LayerFacts | None, LayerFacts | None], FileChanges | None] = {}
    with meter(total) as advance:
        for before, after in pairs:
            was, now = (
                read_layer(
                    registry,
                    Descriptor(layer.media_type, layer.digest, layer.size_bytes),
                    layer.diff_id,
                    hashed=True,
                    advance=advance,
                ).contents
                for registry, layer in ((one, before), (other, after))
            )
            compared[before, after] = file_changes(was, now) if was is not None and now is not None else None

    def layer(change: LayerChange) -> LayerChange:
        return replace(change, files=compared.get((change.one, change.other)))

    def platform(one: PlatformDifference) -> PlatformDifference:
        return replace(one, layers=tuple(map(layer, one.layers)))

    return replace(found, platforms=tuple(map(platform, found.platforms)))


def file_changes(one: LayerContents, other: LayerContents) -> FileChanges:
    """Return which files of two layers, read with their digests, are others."""
    before, after = one.files, other.files
    both = sorted(before.keys() & after.keys())
    same = {name for name in both if before[name].content == after[name].content}
    return FileChanges(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(name for name in both if name not in same),
        retouched=tuple(name for name in both if name in same and before[name] != after[name]),
    )
