"""Services of a local cluster: the ports they keep, and the pods behind them."""

import socket
from collections.abc import Collection, Iterable

from trihull_infra.emulators.cluster import ports
from trihull_infra.emulators.cluster.balancers import Balancers, Routes
from trihull_infra.emulators.cluster.errors import ClusterError
from trihull_infra.emulators.cluster.objects import Object, selects
from trihull_infra.emulators.cluster.pods import Pod
from trihull_infra.emulators.cluster.spec import port_name
from trihull_infra.emulators.cluster.store import Key, Store

TYPES = ("ClusterIP", "LoadBalancer")


def check_service(service: Object) -> None:
    """Refuse a Service that local clusters cannot carry out; raises `ClusterError` with the offending key named."""
    where = f"Service {service['metadata'].get('namespace', 'default')}/{service['metadata']['name']}"
    spec = service.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    if kind not in TYPES:
        raise ClusterError(f"{where}: spec.type is {kind!r}; local clusters have {' and '.join(TYPES)}.")
    given = spec.get("ports") or []
    if not given:
        raise ClusterError(f"{where}: spec.ports is missing.")
    for port in given:
        if not isinstance(port.get("port"), int | float):
            raise ClusterError(f"{where}: spec.ports holds a port without a number.")
        if port.get("protocol", "TCP") != "TCP":
            raise ClusterError(f"{where}: spec.ports: protocol {port['protocol']!r}; local clusters forward TCP only.")
    names = [_label(port) for port in given]
    if len(set(names)) != len(names):
        raise ClusterError(f"{where}: spec.ports: names must be given and differ when there are several ports.")


class Services:
    """Hands out load balancers' ports and says where they lead. All methods run in the cluster's loop."""

    def __init__(self, store: Store, balancers: Balancers, taken: set[int]) -> None:
        """Use the ports that `store` remembers; `taken` are the ports of all clusters of this daemon."""
        self.store, self.balancers, self.taken = store, balancers, taken
        self._held: dict[int, socket.socket | None] = {}

    def allocate(self, key: Key, service: Object) -> None:
        """Give a LoadBalancer its ports (those it has stay) and write its status; other types give theirs back.

        Raises:
            ClusterError: there is no free port.
        """
        spec, notes = service["spec"], self.store.notes(key)
        known: dict[str, int] = notes.get("ports", {})
        chosen: dict[str, int] = {}
        if spec["type"] == "LoadBalancer":
            for port in spec["ports"]:
                label = _label(port)
                chosen[label] = known.get(label) or ports.find(self.taken)
                self.taken.add(chosen[label])
            listed = [{"port": chosen[_label(port)], "protocol": "TCP"} for port in spec["ports"]]
            service["status"] = {"loadBalancer": {"ingress": [{"ip": ports.HOST, "ports": listed}]}}
        else:
            service["status"] = {"loadBalancer": {}}
        for label, number in known.items():
            if chosen.get(label) != number:
                self._release(number)
        notes["ports"] = chosen
        self._hold(chosen.values())

    def restore(self) -> None:
        """Take the ports of all stored Services again."""
        for key in self.store.keys("Service"):
            numbers = self._ports(key)
            self.taken.update(numbers)
            self._hold(numbers)

    def forget(self, key: Key) -> None:
        """Give a Service's ports back."""
        for number in self._ports(key):
            self._release(number)

    def close(self) -> None:
        """Stop holding ports; the store still knows whose they are."""
        for holder in self._held.values():
            if holder is not None:
                holder.close()
        self.taken.difference_update(self._held)
        self._held.clear()

    def route(self, pods: Iterable[Pod]) -> None:
        """Tell the balancers which pods are ready now."""
        ready = [pod for pod in pods if pod.ready]
        routes: Routes = {}
        for key in self.store.keys("Service"):
            service = self.store.peek(key)
            assert service is not None
            numbers = self.store.notes(key).get("ports", {})
            for port in service["spec"]["ports"]:
                if (number := numbers.get(_label(port))) is not None:
                    routes[number] = [target for pod in self._behind(service, ready) if (target := _target(pod, port))]
        self.balancers.want(routes)

    def problem(self, key: Key, pods: Collection[Pod], crashes_enough: int) -> tuple[str, bool]:
        """Say why a Service does not work yet.

        Returns:
            What is wrong (empty: it works), and whether waiting is of no use: every pod behind it has an image that
            cannot be run, or a container that ended `crashes_enough` times in a row.
        """
        service = self.store.peek(key)
        assert service is not None
        for number in self._ports(key):
            if number in self.balancers.errors:
                why = self.balancers.errors[number]
                return f"its port {number} on {ports.HOST} cannot be used ({why}): end the program that has it", False
        if not service["spec"].get("selector"):
            return "", False
        behind = self._behind(service, [pod for pod in pods if pod.ready])
        if not behind:
            chosen = self._behind(service, [pod for pod in pods if not pod.ending])
            hopeless = [pod for pod in chosen if pod.permanent or pod.crashes >= crashes_enough]
            lack = f"no ready pod has the labels {service['spec']['selector']}"
            return "; ".join([lack, *(f"pod {pod.record.name} ({pod.phase})" for pod in hopeless)]), bool(
                hopeless and len(hopeless) == len(chosen)
            )
        for port in service["spec"]["ports"]:
            if not any(_target(pod, port) for pod in behind):
                return f"its targetPort {port['targetPort']!r} is not a port of pod {behind[0].record.name}", False
        if any(not self.balancers.carried_out.get(number) for number in self._ports(key)):
            return "its load balancer does not listen yet", False
        return "", False

    def _behind(self, service: Object, pods: Iterable[Pod]) -> list[Pod]:
        namespace, selector = service["metadata"]["namespace"], service["spec"].get("selector")
        return [pod for pod in pods if pod.record.namespace == namespace and selects(selector, dict(pod.spec.labels))]

    def _ports(self, key: Key) -> list[int]:
        return list(self.store.notes(key).get("ports", {}).values())

    def _hold(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if number not in self._held:
                try:
                    self._held[number] = ports.hold(number)
                except OSError:
                    # Somebody has it; the forwarder will say so (see `problem`) and goes on trying.
                    self._held[number] = None

    def _release(self, number: int) -> None:
        holder = self._held.pop(number, None)
        if holder is not None:
            holder.close()
        self.taken.discard(number)


def _label(port: Object) -> str:
    return str(port.get("name") or int(port["port"]))


def _target(pod: Pod, port: Object) -> int | None:
    """Find a Service port's target among a pod's ports on this machine."""
    wanted = port.get("targetPort") or port["port"]
    try:
        return pod.record.ports[port_name(wanted, pod.spec.ports, "")]
    except ClusterError:  # this pod has no such port: it is no target, as in Kubernetes
        return None
