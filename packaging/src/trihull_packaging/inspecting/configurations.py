"""An image's configuration as values: how it runs, its platform, and what each of its layers is for."""

import re
from collections.abc import Mapping
from typing import Any

from trihull_packaging.inspecting import documents
from trihull_packaging.inspecting.facts import Configuration
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.contract.codec import DIGEST


def platform_name(source: str, fields: Mapping[str, Any]) -> str:
    """Return `os/architecture[/variant]`; `linux/arm64/v8` is `linux/arm64` (containerd's normal form)."""
    parts = [documents.text(source, fields, key) for key in ("os", "architecture", "variant")]
    if parts[1:] == ["arm64", "v8"]:
        parts[2] = ""
    return "/".join(part or "unknown" for part in (parts if parts[2] else parts[:2]))


def platforms(source: str, index: Mapping[str, Any]) -> list[str]:
    """Return the platforms that an index lists, at most 20 of them."""
    entries = index.get("manifests")
    stated = [one.get("platform") for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    return sorted({platform_name(source, one) for one in stated if isinstance(one, dict)})[:20]


def configuration(source: str, document: Mapping[str, Any]) -> Configuration:
    """Return how an image runs; raises `LayoutError` on a wrong type."""
    config = documents.mapping(source, document, "config")
    environment = (item.partition("=") for item in documents.texts(source, config, "Env"))
    return Configuration(
        user=documents.text(source, config, "User"),
        entrypoint=documents.texts(source, config, "Entrypoint"),
        command=documents.texts(source, config, "Cmd"),
        working_folder=documents.text(source, config, "WorkingDir"),
        environment={name: value for name, _, value in environment},
        ports=tuple(sorted(documents.mapping(source, config, "ExposedPorts"))),
        labels=dict(sorted(documents.text_mapping(source, config, "Labels").items())),
        stop_signal=documents.text(source, config, "StopSignal"),
        created=documents.text(source, document, "created"),
    )


def diff_ids(source: str, document: Mapping[str, Any], layers: int) -> tuple[str, ...]:
    """Return the digests of the uncompressed layers; raises `LayoutError` unless there is one per layer."""
    found = documents.texts(source, documents.mapping(source, document, "rootfs"), "diff_ids")
    if not all(re.fullmatch(DIGEST, one) for one in found):
        raise LayoutError(f"{source}: rootfs: diff_ids: expected sha256:<64 hex digits>")
    if len(found) != layers:
        raise LayoutError(f"{source}: names {len(found)} diff_ids for {layers} layers")
    return found


def purposes(source: str, document: Mapping[str, Any], layers: int) -> tuple[str, ...]:
    """Return what each layer is for, by the history: the comment of ours, the command of others; empty without one."""
    said = []
    given = document.get("history") is not None
    for entry in documents.items(source, document, "history", most=2 * documents.LAYERS_MAX) if given else ():
        if not isinstance(entry, dict):
            raise LayoutError(f"{source}: history: expected objects, found {entry!r:.80}")
        if entry.get("empty_layer") is not True:
            comment, command = (documents.text(source, entry, key) for key in ("comment", "created_by"))
            said.append(command if comment.startswith("buildkit.") else comment or command)  # BuildKit names itself
    return tuple(said) if len(said) == layers else ("",) * layers
