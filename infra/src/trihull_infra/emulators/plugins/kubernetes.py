"""The provider for `kubernetes`: objects go to the local cluster that the kubeconfig names, and are waited for.

Ids, names, what forces a replacement and what is waited for follow pulumi-kubernetes (provider/pkg/provider/diff.go,
provider/pkg/await; annotations pulumi.com/skipAwait, timeoutSeconds and autonamed).
"""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import yaml

from trihull_infra.emulators.plugins.diff import Difference, compare
from trihull_infra.emulators.plugins.provider import Failure, InitError, Naming, RefusedError, Urn
from trihull_infra.emulators.plugins.values import UNKNOWN, Secret, has_unknowns
from trihull_infra.emulators.recorder.checks import check
from trihull_infra.emulators.recorder.facts import facts
from trihull_infra.emulators.recorder.packages import package
from trihull_infra.errors import EmulatorError

Object = dict[str, Any]

WAIT_S: Final = 180.0  # pulumi-kubernetes waits ten minutes; no machine has to be booted here
AUTONAMED: Final = "pulumi.com/autonamed"
SKIP: Final = "pulumi.com/skipAwait"
TIMEOUT: Final = "pulumi.com/timeoutSeconds"
METADATA: Final = ("metadata.name", "metadata.namespace")
# provider/pkg/provider/diff.go of pulumi-kubernetes, the kinds local clusters take.
REPLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "apps/v1:Deployment": ("spec.selector",),
    "v1:ConfigMap": ("binaryData", "data"),
    "v1:Secret": ("type", "stringData", "data"),
    "v1:Service": ("spec.clusterIP",),
    "v1:ResourceQuota": ("spec.scopes",),
    "rbac.authorization.k8s.io/v1:RoleBinding": ("roleRef",),
    "rbac.authorization.k8s.io/v1:ClusterRoleBinding": ("roleRef",),
}
MUTABLE: Final = {"v1:ConfigMap": "enableConfigMapMutable", "v1:Secret": "enableSecretMutable"}
# Set by the API server, and different after every write or probe: no drift.
VOLATILE: Final = ("resourceVersion", "managedFields", "generation")


class Cluster(Protocol):
    """What this plugin uses of a LocalCluster."""

    def apply(self, obj: Object) -> Object:
        """Create or change an object."""

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """Return a live object."""

    def delete(self, kind: str, namespace: str | None, name: str) -> None:
        """Remove an object and what followed from it."""

    def wait_ready(self, kind: str, namespace: str | None, name: str, timeout_s: float) -> Object:
        """Wait until an object is ready."""


class KubernetesProvider:
    """One provider instance of `kubernetes`."""

    package = "kubernetes"

    def __init__(
        self,
        find: Callable[[str], Cluster],
        namespaced: Callable[[str], bool],
        delay: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Serve the clusters that `find` knows by their API server's URL (`EmulatorError` for any other)."""
        self._find, self._namespaced, self._delay = find, namespaced, delay
        self._server = ""
        self._configuration: dict[str, Any] = {}
        self._gone = False

    def check_config(self, urn: Urn, inputs: dict[str, Any]) -> list[Failure]:
        """Refuse a configuration that would mean whatever cluster this machine's user works with."""
        if has_unknowns(inputs):
            return []
        try:
            server(inputs)
        except RefusedError as error:
            return [Failure("kubeconfig", str(error))]
        return []

    def configure(self, arguments: dict[str, Any], urn: str) -> None:
        """Find the emulated cluster; raises `EmulatorError` when the kubeconfig names any other."""
        self._configuration = arguments
        self._server = server(arguments)
        try:
            self._find(self._server)
        except EmulatorError:
            if not _is_true(arguments.get("deleteUnreachable")):
                raise
            self._gone = True

    def check(
        self, urn: Urn, old: dict[str, Any], new: dict[str, Any], naming: Naming
    ) -> tuple[dict[str, Any], list[Failure]]:
        """Fill in apiVersion, kind, namespace and a name, and refuse fields the API does not know."""
        version, kind = split(urn.type)
        inputs = {"apiVersion": version, "kind": kind, **copy.deepcopy(new)}
        failures: list[Failure] = []
        given = inputs.get("metadata")
        if given is UNKNOWN:
            return inputs, failures
        metadata = inputs["metadata"] = given if isinstance(given, dict) else {}
        if metadata.get("name") is None and metadata.get("generateName") is None:
            if naming.disabled:
                failures.append(Failure("metadata.name", "metadata.name is missing, and automatic names are disabled"))
            else:
                self._name(urn, old, metadata, naming)
        if self._namespaced(kind) and metadata.get("namespace") is None:
            metadata["namespace"] = self._configuration.get("namespace") or "default"
        if urn.type in package("kubernetes").types:
            failures += check(facts(urn.type), inputs)
        return inputs, failures

    def _name(self, urn: Urn, old: Mapping[str, Any], metadata: dict[str, Any], naming: Naming) -> None:
        before = old.get("metadata") if isinstance(old.get("metadata"), dict) else None
        if before and before.get("name") and (before.get("annotations") or {}).get(AUTONAMED) == "true":
            metadata["name"] = before["name"]
        else:
            digits = hashlib.sha256(naming.seed + urn.text.encode()).hexdigest()[:8]
            metadata["name"] = naming.proposed or f"{urn.name.lower()[:54]}-{digits}"
        metadata["annotations"] = {**(metadata.get("annotations") or {}), AUTONAMED: "true"}

    def diff(
        self, urn: Urn, resource_id: str, old: dict[str, Any], state: dict[str, Any], new: dict[str, Any]
    ) -> Difference:
        """Compare inputs; an object whose name is given is deleted before its replacement is made."""
        key = ":".join(split(urn.type))
        replacing = list(METADATA)
        if not _is_true(self._configuration.get(MUTABLE.get(key, ""))):
            replacing += REPLACES.get(key, ())
        autonamed = ((new.get("metadata") or {}).get("annotations") or {}).get(AUTONAMED) == "true"
        names = [(item.get("metadata") or {}).get("name") for item in (old, new)]
        return Difference(compare(old, new, replacing), delete_before_replace=not autonamed and names[0] == names[1])

    def create(self, urn: Urn, inputs: dict[str, Any], preview: bool, timeout_s: float) -> tuple[str, dict[str, Any]]:
        """Apply an object and wait for it; one that is there already is refused."""
        if preview:
            return "", _marked(inputs["kind"], {**inputs, "status": UNKNOWN})
        self._delay("create")
        cluster, (kind, namespace, name) = self._cluster(), self._key(inputs)
        if cluster.get(kind, namespace, name) is not None:
            raise RefusedError(f"{kind} {_identifier(namespace, name)!r} already exists in {self._server}")
        return _identifier(namespace, name), self._apply(cluster, inputs, timeout_s)

    def read(
        self, urn: Urn, resource_id: str, inputs: dict[str, Any], state: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return the live object; what only the API server changes all the time is no drift."""
        if self._gone:
            return "", {}, {}
        kind = split(urn.type)[1]
        namespace, _, name = resource_id.rpartition("/")
        live = self._cluster().get(kind, namespace or None, name)
        if live is None:
            return "", {}, {}
        outputs = {**inputs, **live}
        if state and _steady(outputs) == _steady(state):
            outputs = state
        return resource_id, inputs or _importable(live), _marked(kind, outputs)

    def update(
        self,
        urn: Urn,
        resource_id: str,
        old: dict[str, Any],
        state: dict[str, Any],
        new: dict[str, Any],
        preview: bool,
        timeout_s: float,
    ) -> dict[str, Any]:
        """Apply the changed object and wait for it."""
        if preview:
            return _marked(new["kind"], {**new, "status": state.get("status", UNKNOWN)})
        self._delay("update")
        return self._apply(self._cluster(), new, timeout_s)

    def delete(
        self, urn: Urn, resource_id: str, inputs: dict[str, Any], state: dict[str, Any], timeout_s: float
    ) -> None:
        """Remove the object and wait until what it started is gone."""
        if self._gone:
            return
        self._delay("delete")
        namespace, _, name = resource_id.rpartition("/")
        self._cluster().delete(split(urn.type)[1], namespace or None, name)

    def invoke(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Refuse: none of this package's functions is emulated."""
        raise RefusedError(f"{function} is not emulated")

    def _cluster(self) -> Cluster:
        if not self._server:
            raise RefusedError("the Kubernetes provider was not configured")
        return self._find(self._server)

    def _key(self, inputs: Mapping[str, Any]) -> tuple[str, str | None, str]:
        kind, metadata = str(inputs["kind"]), inputs["metadata"]
        namespace = str(metadata.get("namespace") or "default") if self._namespaced(kind) else None
        return kind, namespace, str(metadata["name"])

    def _apply(self, cluster: Cluster, inputs: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        kind, namespace, name = self._key(inputs)
        patience_s = _patience_s(inputs, timeout_s)  # a mistake in it is told before anything changes
        live = cluster.apply(copy.deepcopy(inputs))
        if _waited_for(inputs):
            try:
                live = cluster.wait_ready(kind, namespace, name, patience_s)
            except EmulatorError as error:
                now = cluster.get(kind, namespace, name) or live
                outputs = _marked(kind, {**inputs, **now})
                raise InitError(_identifier(namespace, name), outputs, inputs, [str(error)]) from error
        return _marked(kind, {**inputs, **live})


def split(token: str) -> tuple[str, str]:
    """Return apiVersion and kind of a type token: `kubernetes:core/v1:Secret` -> (`v1`, `Secret`)."""
    _, version, kind = token.split(":")
    return version.removeprefix("core/"), kind


def server(configuration: Mapping[str, Any]) -> str:
    """Return the API server a provider's configuration names.

    Raises:
        RefusedError: there is no kubeconfig in it, or none that can be read.
    """
    text = configuration.get("kubeconfig")
    if not isinstance(text, str) or not text.strip():
        raise RefusedError(
            "the Kubernetes provider has no kubeconfig: it would use whatever cluster this machine's user works with; "
            "set `kubeconfig` to the emulated site's"
        )
    try:
        document = yaml.safe_load(text)
        contexts = {item["name"]: item["context"] for item in document.get("contexts") or []}
        clusters = {item["name"]: item["cluster"] for item in document["clusters"]}
        chosen = configuration.get("context") or document.get("current-context")
        name = configuration.get("cluster") or contexts.get(chosen, {}).get("cluster") or next(iter(clusters))
        return str(clusters[name]["server"])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise RefusedError(
            f"the kubeconfig cannot be read ({type(error).__name__}: {error}); it must be its text"
        ) from error


def _is_true(value: Any) -> bool:
    return value is True or value == "true"


def _identifier(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _annotations(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return (inputs.get("metadata") or {}).get("annotations") or {}


def _waited_for(inputs: Mapping[str, Any]) -> bool:
    if _is_true(_annotations(inputs).get(SKIP)):
        return False
    spec = inputs.get("spec") or {}
    if inputs["kind"] == "Service":
        return bool(spec.get("selector")) and spec.get("type") != "ExternalName"
    return bool(inputs["kind"] == "Deployment")


def _patience_s(inputs: Mapping[str, Any], timeout_s: float) -> float:
    if timeout_s > 0:
        return timeout_s
    given = _annotations(inputs).get(TIMEOUT)
    try:
        return float(given) if given is not None else WAIT_S
    except ValueError as error:
        raise RefusedError(f"the annotation {TIMEOUT} is {given!r}; expected seconds") from error


def _marked(kind: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
    hidden = ("data", "stringData") if kind == "Secret" else ()
    return {key: Secret(value) if key in hidden else value for key, value in outputs.items()}


def _steady(obj: Mapping[str, Any]) -> str:
    """Return what makes two live objects the same to a person."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in VOLATILE}
    status = obj.get("status")
    if isinstance(status, Mapping):
        status = {key: value for key, value in status.items() if key not in ("conditions", "observedGeneration")}
    return json.dumps({**obj, "metadata": metadata, "status": status}, sort_keys=True, default=str)


def _importable(live: Mapping[str, Any]) -> dict[str, Any]:
    """Return a live object as a program would write it."""
    metadata = {
        key: live["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in live["metadata"]
    }
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}
