"""One context out of the kubeconfig files that a user has, as a kubeconfig of its own.

What follows kubectl: KUBECONFIG lists files, the first that says something wins; paths are relative to the file that
holds them; `*-data` goes before a file. What is stricter: nothing stands twice, the API server must prove who it is.
No message says a value, for it may be a token. Source: client-go's loading rules (kubernetes/kubernetes,
staging/src/k8s.io/client-go/tools/clientcmd/loader.go at 03ced770639f, read 2026-11-24).
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from trihull_infra.errors import SpecError

DEFAULT: Final = Path("~/.kube/config")
KINDS: Final = {"clusters": "cluster", "users": "user", "contexts": "context"}
CLUSTER_FILES: Final = ("certificate-authority",)
USER_FILES: Final = ("client-certificate", "client-key")
CLUSTER_KEYS: Final = ("server", "certificate-authority-data", "tls-server-name", "proxy-url", "disable-compression")


@dataclass(frozen=True)
class Context:
    """One context: its cluster's name and API server, and the kubeconfig (JSON) that knows nothing else; a secret."""

    cluster: str
    server: str
    kubeconfig: str = field(repr=False)


@dataclass(frozen=True)
class _Entry:
    """A named part of a kubeconfig, and the file that it stands in."""

    value: Mapping[str, Any] = field(repr=False)
    file: Path
    where: str

    def text(self, key: str) -> str:
        """Return a text; raises SpecError when there is none."""
        found = self.value.get(key)
        if not isinstance(found, str) or not found:
            raise SpecError(f"{self.file}: {self.where}.{key}: expected a text")
        return found

    def path(self, text: str) -> Path:
        """Return a path as the file means it."""
        return self.file.parent / Path(text).expanduser()


def files(named: str | None, folder: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the kubeconfig files to look into: the one that `named` is relative to `folder`, else the user's own."""
    if named is not None:
        return (Path(os.path.normpath(folder.resolve() / Path(named).expanduser())),)
    listed = [Path(part).expanduser().absolute() for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return tuple(listed) or (DEFAULT.expanduser(),)


def extract(paths: Sequence[Path], name: str, key: str) -> Context:
    """Take one context out of kubeconfig files; certificates and keys in other files are taken along.

    Args:
        paths: the files, the first goes before the others; of several, some may be missing.
        name: the context.
        key: where the environment names it, for messages: `prod.yaml: clouds.kubernetes`.

    Raises:
        SpecError: no file, one that is no kubeconfig, no such context (the message lists those there are), or one that
            lacks something, or that would talk to a server without knowing it.
    """
    there = [path for path in paths if path.is_file()]
    listed = ", ".join(str(path) for path in paths)
    if not there:
        raise SpecError(f"{key}.kubeconfig: there is no file {listed}; name the one with context {name!r}")
    found = _merged([_read(path) for path in there])
    context = found["contexts"].get(name)
    if context is None:
        known = ", ".join(sorted(found["contexts"])) or "none"
        raise SpecError(f"{key}.context: {listed} has no context {name!r}; contexts there: {known}")
    cluster_name, user_name = context.text("cluster"), context.text("user")
    for kind, wanted in (("clusters", cluster_name), ("users", user_name)):
        if wanted not in found[kind]:
            raise SpecError(f"{context.file}: {context.where}.{KINDS[kind]}: {listed} has no {KINDS[kind]} {wanted!r}")
    cluster, user = _cluster(found["clusters"][cluster_name]), _user(found["users"][user_name])
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster_name, "cluster": cluster}],
        "users": [{"name": user_name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": cluster_name, "user": user_name}}],
        "current-context": name,
    }
    return Context(cluster_name, cluster["server"], json.dumps(document, sort_keys=True))


def _read(path: Path) -> dict[str, dict[str, _Entry]]:
    """Read a file: kind -> name -> entry."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SpecError(f"{path}: cannot be read: {reason}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # The error quotes the line, and that may hold a token.
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        raise SpecError(f"{path}{f':{mark.line + 1}' if mark else ''}: is not valid YAML") from None
    if not isinstance(document, dict):
        raise SpecError(f"{path}: is no kubeconfig: expected clusters, users and contexts")
    return {kind: _entries(path, kind, document.get(kind)) for kind in KINDS}


def _entries(path: Path, kind: str, items: object) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    if items is not None and not isinstance(items, list):
        raise SpecError(f"{path}: {kind}: expected a list")
    for index, item in enumerate(items or []):
        name = item.get("name") if isinstance(item, dict) else None
        value = item.get(KINDS[kind]) if isinstance(item, dict) else None
        if not isinstance(name, str) or not isinstance(value, dict | None):
            raise SpecError(f"{path}: {kind}[{index}]: expected a name and a {KINDS[kind]}")
        if name in entries:
            raise SpecError(f"{path}: {kind}: {name!r} stands twice; which one is meant cannot be known")
        entries[name] = _Entry(value or {}, path, f"{kind}.{name}")
    return entries


def _merged(read: Sequence[dict[str, dict[str, _Entry]]]) -> dict[str, dict[str, _Entry]]:
    return {kind: {name: one for each in reversed(read) for name, one in each[kind].items()} for kind in KINDS}


def _cluster(entry: _Entry) -> dict[str, Any]:
    if not entry.text("server").startswith("https://"):
        raise SpecError(f"{entry.file}: {entry.where}.server: expected an address that begins with https://")
    if entry.value.get("insecure-skip-tls-verify"):
        raise SpecError(
            f"{entry.file}: {entry.where}.insecure-skip-tls-verify: expected certificate-authority instead: "
            "credentials would go to whoever answers"
        )
    inlined = _inlined(entry, CLUSTER_FILES)
    return {key: inlined[key] for key in CLUSTER_KEYS if inlined.get(key) is not None}


def _user(entry: _Entry) -> dict[str, Any]:
    user = _inlined(entry, USER_FILES)
    user.pop("extensions", None)
    # Paths mean something beside their file only, and the text that this becomes lies beside none.
    if user.get("tokenFile"):
        user["tokenFile"] = str(entry.path(entry.text("tokenFile")))
    plugin = user.get("exec")
    if isinstance(plugin, dict):
        command = plugin.get("command")
        if not isinstance(command, str) or not command:
            raise SpecError(f"{entry.file}: {entry.where}.exec.command: expected a text")
        user["exec"] = {**plugin, "command": str(entry.path(command)) if "/" in command else command}
    return user


def _inlined(entry: _Entry, keys: Sequence[str]) -> dict[str, Any]:
    """Return a part with the content of the files that it points at."""
    result = {key: value for key, value in entry.value.items() if key not in keys}
    for key in keys:
        if entry.value.get(key) and not entry.value.get(f"{key}-data"):
            path = entry.path(entry.text(key))
            try:
                content = path.read_bytes()
            except OSError as error:
                raise SpecError(f"{entry.file}: {entry.where}.{key}: {path} cannot be read: {error.strerror}") from None
            result[f"{key}-data"] = base64.b64encode(content).decode()
    return result
