"""What a pod's container gets: its environment, its volumes' files, its command with variables filled in."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from trihull_infra.emulators.cluster import ports, volumes
from trihull_infra.emulators.cluster.errors import MissingError
from trihull_infra.emulators.cluster.processes import MARK
from trihull_infra.emulators.cluster.records import Record
from trihull_infra.emulators.cluster.runner import Bind, Container
from trihull_infra.emulators.cluster.spec import PodSpec, Variable, Volume
from trihull_infra.emulators.cluster.store import Store

TEMPORARY = "/tmp"  # noqa: S108 - the container's own, a folder of its pod


def make(spec: PodSpec, record: Record, store: Store, folder: Path) -> Container:
    """Make all that a container needs on disk and say how to run it.

    Args:
        spec: what the pod runs.
        record: who the pod is; its ports must be given.
        store: where ConfigMaps and Secrets are.
        folder: the pod's own.

    Raises:
        MissingError: a ConfigMap, a Secret or a key is not there.
    """
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    temporary.chmod(0o1777)
    for volume in spec.volumes:
        _write(volume, record, store, folder)
    binds = [Bind(_volume(folder, mount.volume), mount.path, mount.read_only) for mount in spec.mounts]
    if all(bind.target != TEMPORARY for bind in binds):
        binds.append(Bind(temporary, TEMPORARY, False))
    values = _environment(spec, record, store)
    return Container(
        image=spec.image,
        command=None if spec.command is None else tuple(expand(word, values) for word in spec.command),
        args=None if spec.args is None else tuple(expand(word, values) for word in spec.args),
        working_dir=spec.working_dir,
        environment=values,
        binds=tuple(binds),
    )


def update_volumes(spec: PodSpec, record: Record, store: Store, folder: Path) -> None:
    """Bring mounted ConfigMaps and Secrets up to date in place; what is missing meanwhile stays as it was."""
    for volume in spec.volumes:
        if volume.kind != "emptyDir" and (_volume(folder, volume.name) / volumes.DATA).exists():
            with contextlib.suppress(MissingError):  # a kubelet keeps the old files too
                _write(volume, record, store, folder)


def _volume(folder: Path, name: str) -> Path:
    return folder / "volumes" / name


def _write(volume: Volume, record: Record, store: Store, pod_folder: Path) -> None:
    folder = _volume(pod_folder, volume.name)
    if volume.kind == "emptyDir":
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        return
    kind = "ConfigMap" if volume.kind == "configMap" else "Secret"
    source = store.peek((kind, record.namespace, volume.origin))
    # A secret's files are for this user alone, whatever the mode: inside the container this user is the image's.
    mode = volume.mode if kind == "ConfigMap" else volume.mode & 0o700
    volumes.write(folder, volumes.content(volume, source), mode)


def _environment(spec: PodSpec, record: Record, store: Store) -> dict[str, str]:
    given = {"TRIHULL_HOST": ports.HOST, MARK: record.uid}
    for name, port in record.ports.items():
        if not name.isdigit():
            given[f"TRIHULL_PORT_{name.upper().replace('-', '_')}"] = str(port)
    result = dict(given)
    for variable in spec.variables:
        value = _value(variable, record, store)
        if value is not None:
            result[variable.name] = value if variable.source else expand(value, result)
    for name in result:
        # A process of this machine listens for this machine only, whatever its pod would.
        if name.startswith("TRIHULL_") and name.endswith("_HOST"):
            result[name] = ports.HOST
    return result | given


def _value(variable: Variable, record: Record, store: Store) -> str | None:
    if not variable.source:
        return variable.value
    if variable.source == "field":
        return {
            "metadata.name": record.name,
            "metadata.namespace": record.namespace,
            "metadata.uid": record.uid,
            "spec.nodeName": "local",
        }.get(variable.key, ports.HOST)
    kind = "Secret" if variable.source == "secret" else "ConfigMap"
    source = store.peek((kind, record.namespace, variable.origin))
    values = {} if source is None else volumes.data(source)
    if variable.key in values:
        return values[variable.key].decode()
    if variable.optional:
        return None
    what = "not found" if source is None else f"has no key {variable.key!r}"
    raise MissingError(f"{kind} {variable.origin!r} for variable {variable.name} {what}")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by a variable's value and `$$` by `$`, as Kubernetes does; an unknown `$(NAME)` stays."""
    result, rest = "", text
    while rest:
        before, dollar, rest = rest.partition("$")
        result += before
        if not dollar:
            break
        if rest.startswith("$"):
            result, rest = result + "$", rest[1:]
        elif rest.startswith("(") and ")" in rest:
            name, _, rest = rest[1:].partition(")")
            result += values.get(name, f"$({name})")
        else:
            result += "$"
    return result
