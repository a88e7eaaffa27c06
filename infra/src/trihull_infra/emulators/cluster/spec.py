"""A Deployment as what a local cluster has to do: typed, checked, and refused with the offending key named."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trihull_infra.emulators.cluster.errors import ClusterError
from trihull_infra.emulators.cluster.objects import Object, selects


@dataclass(frozen=True)
class Probe:
    """A health check; `path` None means a TCP connection, otherwise an HTTP GET that must answer 200 to 399."""

    port: str
    path: str | None
    headers: tuple[tuple[str, str], ...]
    initial_delay_s: float
    period_s: float
    timeout_s: float
    failure_threshold: int
    success_threshold: int


@dataclass(frozen=True)
class Variable:
    """An environment variable: a value, or where it comes from (`field`, `secret`, `config`)."""

    name: str
    value: str = ""
    source: str = ""
    origin: str = ""
    key: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Volume:
    """Files for a container: `kind` is configMap, secret or emptyDir; `items` picks keys and names their files."""

    name: str
    kind: str
    origin: str
    items: tuple[tuple[str, str], ...] | None
    mode: int
    optional: bool


@dataclass(frozen=True)
class Mount:
    """Where a volume appears inside the container."""

    volume: str
    path: str
    read_only: bool


@dataclass(frozen=True)
class PodSpec:
    """What one pod runs: one container."""

    container: str
    image: str
    command: tuple[str, ...] | None
    args: tuple[str, ...] | None
    working_dir: str | None
    variables: tuple[Variable, ...]
    ports: tuple[tuple[str, int], ...]  # name (the number as text when it has none), container port
    volumes: tuple[Volume, ...]
    mounts: tuple[Mount, ...]
    startup: Probe | None
    readiness: Probe | None
    liveness: Probe | None
    stop_sleep_s: float
    stop_command: tuple[str, ...] | None
    grace_s: float
    labels: Mapping[str, str]


@dataclass(frozen=True)
class DeploymentSpec:
    """What a Deployment asks for; `template` is the pod template as given, `template_hash` names its content."""

    replicas: int
    recreate: bool
    min_ready_s: float
    template: Object
    template_hash: str
    pod: PodSpec


FIELDS = ("metadata.name", "metadata.namespace", "metadata.uid", "status.podIP", "status.hostIP", "spec.nodeName")


def read_deployment(obj: Object) -> DeploymentSpec:
    """Read a Deployment.

    Raises:
        ClusterError: what is missing, wrong, or not supported by local clusters.
    """
    where = f"Deployment {obj['metadata'].get('namespace', 'default')}/{obj['metadata']['name']}"
    spec = _object(obj, "spec", where)
    template = _object(spec, "template", where)
    labels = (template.get("metadata") or {}).get("labels") or {}
    selector = (spec.get("selector") or {}).get("matchLabels")
    if not selects(selector, labels):
        raise ClusterError(f"{where}: spec.selector.matchLabels must be given and match the labels of spec.template.")
    replicas = spec.get("replicas", 1)
    if not isinstance(replicas, int | float) or replicas < 0 or replicas != int(replicas):
        raise ClusterError(f"{where}: spec.replicas is {replicas!r}; expected a whole number, 0 or more.")
    strategy = (spec.get("strategy") or {}).get("type", "RollingUpdate")
    if strategy not in ("RollingUpdate", "Recreate"):
        raise ClusterError(f"{where}: spec.strategy.type is {strategy!r}; expected RollingUpdate or Recreate.")
    return DeploymentSpec(
        replicas=int(replicas),
        recreate=strategy == "Recreate",
        min_ready_s=float(spec.get("minReadySeconds") or 0),
        template=template,
        template_hash=template_hash(template),
        pod=read_pod(template, where),
    )


def template_hash(template: Object) -> str:
    """Name a pod template by its content: ten characters, as in pod names."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def read_pod(template: Object, where: str) -> PodSpec:
    """Read a pod template; raises `ClusterError` as `read_deployment` does."""
    spec = _object(template, "spec", f"{where}: spec.template")
    containers = spec.get("containers") or []
    if len(containers) != 1 or spec.get("initContainers"):
        raise ClusterError(
            f"{where}: a pod of a local cluster has exactly one container and no init containers, "
            f"found {len(containers)} and {len(spec.get('initContainers') or [])}."
        )
    container = containers[0]
    for key in ("name", "image"):
        if not container.get(key):
            raise ClusterError(f"{where}: containers[0].{key} is missing.")
    if container.get("envFrom"):
        raise ClusterError(f"{where}: containers[0].envFrom is not supported by local clusters; name each variable.")
    ports = tuple(
        (str(port.get("name") or int(port["containerPort"])), int(port["containerPort"]))
        for port in container.get("ports") or []
    )
    if len({name for name, _ in ports}) != len(ports):
        raise ClusterError(f"{where}: two of containers[0].ports have the same name.")
    volumes = tuple(_volume(volume, where) for volume in spec.get("volumes") or [])
    stop_sleep_s, stop_command = _pre_stop(container, where)
    command, args = container.get("command"), container.get("args")
    return PodSpec(
        container=container["name"],
        image=container["image"],
        command=tuple(map(str, command)) if command else None,
        args=tuple(map(str, args)) if args is not None else None,
        working_dir=container.get("workingDir"),
        variables=tuple(_variable(variable, where) for variable in container.get("env") or []),
        ports=ports,
        volumes=volumes,
        mounts=tuple(_mount(mount, volumes, where) for mount in container.get("volumeMounts") or []),
        startup=_probe(container, "startupProbe", ports, where),
        readiness=_probe(container, "readinessProbe", ports, where),
        liveness=_probe(container, "livenessProbe", ports, where),
        stop_sleep_s=stop_sleep_s,
        stop_command=stop_command,
        grace_s=float(spec.get("terminationGracePeriodSeconds", 30)),
        labels=(template.get("metadata") or {}).get("labels") or {},
    )


def _object(obj: Object, key: str, where: str) -> Object:
    value = obj.get(key)
    if not isinstance(value, dict):
        raise ClusterError(f"{where}: {key} is missing or not an object.")
    return value


def _variable(variable: Object, where: str) -> Variable:
    name = str(variable.get("name") or "")
    if not name or "=" in name:
        raise ClusterError(f"{where}: containers[0].env holds a variable without a valid name ({name!r}).")
    source = variable.get("valueFrom")
    if not source:
        return Variable(name, str(variable.get("value") or ""))
    if field := source.get("fieldRef"):
        path = field.get("fieldPath")
        if path not in FIELDS:
            raise ClusterError(f"{where}: env {name}: fieldRef {path!r} is not supported; known: {', '.join(FIELDS)}.")
        return Variable(name, source="field", key=path)
    for kind, word in (("secretKeyRef", "secret"), ("configMapKeyRef", "config")):
        if reference := source.get(kind):
            optional = bool(reference.get("optional"))
            return Variable(
                name, source=word, origin=str(reference["name"]), key=str(reference["key"]), optional=optional
            )
    known = "fieldRef, secretKeyRef, configMapKeyRef"
    raise ClusterError(f"{where}: env {name}: valueFrom must be one of {known}, found {', '.join(source)}.")


def _volume(volume: Object, where: str) -> Volume:
    name = str(volume.get("name") or "")
    for kind, key in (("configMap", "name"), ("secret", "secretName"), ("emptyDir", "")):
        if kind not in volume or volume[kind] is None:
            continue
        source = volume[kind]
        items = source.get("items")
        picked = None if items is None else tuple((str(item["key"]), str(item["path"])) for item in items)
        for _, path in picked or ():
            if path.startswith("/") or ".." in path.split("/"):
                raise ClusterError(f"{where}: volume {name}: item path {path!r} leads out of the volume.")
        origin = str(source.get(key) or "") if key else ""
        if key and not origin:
            raise ClusterError(f"{where}: volume {name}: {kind}.{key} is missing.")
        mode = int(source.get("defaultMode") or 0o644)
        return Volume(name, kind, origin, picked, mode, bool(source.get("optional")))
    kinds = [key for key in volume if key != "name"]
    raise ClusterError(
        f"{where}: volume {name}: {', '.join(kinds) or 'nothing'} is not supported; known: configMap, secret, emptyDir."
    )


def _mount(mount: Object, volumes: tuple[Volume, ...], where: str) -> Mount:
    path, name = str(mount.get("mountPath") or ""), mount.get("name")
    if name not in {volume.name for volume in volumes}:
        raise ClusterError(f"{where}: volumeMounts name a volume {name!r} that spec.template.spec.volumes lacks.")
    if not path.startswith("/") or ".." in path.split("/") or path.strip("/") in ("", "proc", "sys", "dev"):
        raise ClusterError(f"{where}: volumeMounts: mountPath {path!r} must be absolute, and not /, /proc, /sys, /dev.")
    if mount.get("subPath") or mount.get("subPathExpr"):
        raise ClusterError(f"{where}: volumeMounts: subPath is not supported by local clusters; mount the folder.")
    kind = next(volume.kind for volume in volumes if volume.name == name)
    return Mount(str(name), "/" + path.strip("/"), bool(mount.get("readOnly")) or kind != "emptyDir")


def _probe(container: Object, kind: str, ports: tuple[tuple[str, int], ...], where: str) -> Probe | None:
    probe = container.get(kind)
    if not probe:
        return None
    if http := probe.get("httpGet"):
        if http.get("scheme", "HTTP") != "HTTP" or http.get("host"):
            raise ClusterError(f"{where}: {kind}.httpGet: local clusters probe plain HTTP on the pod itself only.")
        target, path = http, str(http.get("path") or "/")
    elif tcp := probe.get("tcpSocket"):
        target, path = tcp, None
    else:
        raise ClusterError(f"{where}: {kind}: only httpGet and tcpSocket are supported by local clusters.")
    headers = tuple((str(header["name"]), str(header["value"])) for header in target.get("httpHeaders") or [])
    return Probe(
        port=port_name(target.get("port"), ports, f"{where}: {kind}"),
        path=path if path is None or path.startswith("/") else f"/{path}",
        headers=headers,
        initial_delay_s=float(probe.get("initialDelaySeconds") or 0),
        period_s=float(probe.get("periodSeconds") or 10),
        timeout_s=float(probe.get("timeoutSeconds") or 1),
        failure_threshold=int(probe.get("failureThreshold") or 3),
        success_threshold=int(probe.get("successThreshold") or 1),
    )


def port_name(wanted: Any, ports: tuple[tuple[str, int], ...], where: str) -> str:
    """Find a container port by name or number; raises `ClusterError` when the container declares no such port."""
    for name, number in ports:
        if wanted in (name, number) or str(wanted) == str(number):
            return name
    known = ", ".join(f"{name} ({number})" for name, number in ports) or "none"
    raise ClusterError(f"{where}: port {wanted!r} is not among containers[0].ports: {known}.")


def _pre_stop(container: Object, where: str) -> tuple[float, tuple[str, ...] | None]:
    hook = (container.get("lifecycle") or {}).get("preStop")
    if not hook:
        return 0.0, None
    if sleep := hook.get("sleep"):
        return float(sleep["seconds"]), None
    if execute := hook.get("exec"):
        return 0.0, tuple(map(str, execute["command"]))
    raise ClusterError(f"{where}: lifecycle.preStop: only sleep and exec are supported by local clusters.")
