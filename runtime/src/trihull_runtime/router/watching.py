"""Reads Envoy's own logs: what it found out about sites becomes conditions, and events with their reasons."""

import collections
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trihull_runtime.router.conditions import WHOLE_SITE, Conditions, Finding, Verdict
from trihull_runtime.router.envoy.layout import Layout
from trihull_runtime.router.envoy.values import SITES_CLUSTER
from trihull_runtime.router.events import Events, Tail
from trihull_runtime.router.plan import TrafficPlan

RECENT_S = 10.0  # failures that an ejection may have come from
REASONS = {
    "CONSECUTIVE_5XX": "failed answers",
    "CONSECUTIVE_GATEWAY_FAILURE": "failed answers",
    "CONSECUTIVE_LOCAL_ORIGIN_FAILURE": "failed connections",
}
CHECK_REASONS = {"NETWORK": "no connection", "NETWORK_TIMEOUT": "no answer in time"}


@dataclass(frozen=True)
class Attempt:
    """An attempt at a site that went wrong: `at` is Unix time in seconds, `status` 0 when there was no answer."""

    site: str
    at: float
    status: int
    flags: str
    retry_after_s: float | None
    failure: str

    @property
    def cut_short(self) -> bool:
        """Whether an answer had begun and did not come to its end."""
        return 200 <= self.status < 300 and any(flag in ("UC", "UPE", "UR") for flag in self.flags.split(","))

    @property
    def kind(self) -> str:
        """What went wrong, in a word or two."""
        if "certificate" in self.failure.lower() or "TLS_error" in self.failure:
            return "certificate"
        words = {"UT": "timeout", "UF": "no connection", "UC": "connection cut", "UR": "reset", "UPE": "broken answer"}
        known = [words[flag] for flag in self.flags.split(",") if flag in words]
        return known[0] if known else str(self.status)


def attempt_of(line: bytes) -> Attempt | None:
    """Read a line of the attempts log; None when it is not one, or names no site (the site was never chosen)."""
    try:
        entry = json.loads(line)
        site = entry.get("site")
        if not site:
            return None
        wait = entry.get("retry_after")
        return Attempt(
            site=str(site),
            at=float(entry["time"]),
            status=int(entry.get("status") or 0),
            flags=str(entry.get("flags") or ""),
            retry_after_s=float(wait) if isinstance(wait, str) and wait.isdigit() and len(wait) < 7 else None,
            failure=str(entry.get("failure") or ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def why_ejected(kind: str, recent: list[Attempt], count: int) -> str:
    """Return the reason of an ejection, such as `3 x 503 in 0.4 s`."""
    found = recent[-count:]
    if len(found) < count:  # Envoy's other log is not written yet
        what = (
            f"{count} x {found[-1].kind}" if found else f"{count} {REASONS.get(kind, kind.lower().replace('_', ' '))}"
        )
        return f"{what} in a row"
    kinds = collections.Counter(each.kind for each in found)
    parts = [f"{number} x {name}" for name, number in kinds.most_common()]
    return f"{' and '.join(parts)} in {found[-1].at - found[0].at:.1f} s"


class Watcher:
    """Follows Envoy's logs.

    Args:
        layout: where they are.
        conditions: is told what happened.
        events: likewise, in words.
        plan: returns the plan in force, which says what an address is.
    """

    def __init__(
        self,
        layout: Layout,
        conditions: Conditions,
        events: Events,
        plan: Callable[[], TrafficPlan],
    ) -> None:
        self._conditions, self._events, self._plan = conditions, events, plan
        self._attempts, self._health = Tail(layout.attempts_log), Tail(layout.health_log)
        self._outliers = Tail(layout.outlier_log)
        self._recent: dict[str, collections.deque[Attempt]] = {}
        self._addresses: dict[str, set[str]] = {}  # site -> its addresses that fail their checks
        self.truncated: collections.Counter[str] = collections.Counter()
        self.findings: collections.Counter[tuple[str, str, str]] = collections.Counter()

    def behind(self) -> bool:
        """Whether a log says something new."""
        return any(each.behind() for each in (self._attempts, self._health, self._outliers))

    def read(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """Return what is new in each log; does the reading of files, and nothing else."""
        return self._attempts.lines(), self._health.lines(), self._outliers.lines()

    def take(self, lines: tuple[list[bytes], list[bytes], list[bytes]], now: float) -> None:
        """Draw conclusions; attempts come first, since they are the reason of what follows."""
        attempts, health, outliers = lines
        for line in attempts:
            attempt = attempt_of(line)
            if attempt is not None:
                self._attempted(attempt, now)
        for line in health:
            self._checked(json.loads(line), now)
        for line in outliers:
            self._judged(json.loads(line), now)

    def begin_with(self, clusters: Mapping[str, Any], now: float) -> None:
        """Take what an Envoy knows already, from its `/clusters?format=json`: its log is only read from now on."""
        self._conditions.forget_envoy()
        self._addresses.clear()
        for cluster in clusters.get("cluster_statuses", []):
            for host in cluster.get("host_statuses", []) if cluster.get("name") == SITES_CLUSTER else []:
                if host.get("health_status", {}).get("failed_active_health_check"):
                    found = {"host": host.get("address", {}), "locality": host.get("locality", {})}
                    self._failing(found, "it fails its health check", now)

    def found(self, finding: Finding, now: float) -> None:
        """Take what a question to a site came to; tells it when it changes anything."""
        site, model = finding.site, finding.model
        self.findings[model, site, finding.verdict.value] += 1
        if not self._conditions.answered(site, model, finding.verdict, finding.reason, now):
            return
        what = f"model {model} at {site}" if model else f"site {site}"
        if finding.verdict is Verdict.RIGHT:
            self._events.emit("site_trusted", f"{what} answers rightly again", site=site, model=model)
        else:
            self._events.emit(
                f"site_{finding.verdict}",
                f"{what} gets no requests: {finding.reason}",
                level="error",
                site=site,
                model=model,
                reason=finding.reason,
            )

    def _attempted(self, attempt: Attempt, now: float) -> None:
        recent = self._recent.setdefault(attempt.site, collections.deque(maxlen=16))
        recent.append(attempt)
        if attempt.cut_short:
            self.truncated[attempt.site] += 1
            if self._conditions.cut_short(attempt.site, now):
                message = f"site {attempt.site} is ejected for a while: answers end before their end"
                self._events.emit("site_cut_short", message, level="warning", site=attempt.site)
        if attempt.status == 429 and attempt.retry_after_s:
            reason = f"it answered 429 and asked for {attempt.retry_after_s:g} s"
            self._conditions.busy(attempt.site, attempt.retry_after_s, reason, now)

    def _checked(self, entry: Mapping[str, Any], now: float) -> None:
        """A line of the health check log. Source: envoy/data/core/v3/health_check_event.proto."""
        if entry.get("cluster_name") != SITES_CLUSTER:
            return  # the models' clusters check the same sites
        site = entry.get("locality", {}).get("zone", "?")
        event = entry.get("eject_unhealthy_event") or entry.get("health_check_failure_event")
        if event is not None:
            kind = event.get("failure_type", "ACTIVE")
            reason = CHECK_REASONS.get(kind, "a bad answer")
            self._failing(entry, f"it fails its health check: {reason}", now)
            message = f"site {site} fails its health check: {reason}"
            self._events.emit("site_unhealthy", message, level="warning", site=site, reason=reason, envoy_reason=kind)
        elif "add_healthy_event" in entry:
            self._addresses.get(site, set()).discard(_address(entry))
            first = entry["add_healthy_event"].get("first_check", False)
            self._conditions.up(site, "check", now)
            message = f"site {site} is healthy" if first else f"site {site} is healthy again"
            self._events.emit("site_healthy", message, site=site, first_check=first)

    def _failing(self, entry: Mapping[str, Any], reason: str, now: float) -> None:
        """An address fails its checks; a site is down when all of its addresses do."""
        site = entry.get("locality", {}).get("zone", "?")
        failing = self._addresses.setdefault(site, set())
        failing.add(_address(entry))
        if len(failing) >= self._known_addresses(site):
            self._conditions.down(site, "check", reason, now)

    def _known_addresses(self, site: str) -> int:
        return next((len(each.addresses) for each in self._plan().sites if each.name == site), 1)

    def _judged(self, entry: Mapping[str, Any], now: float) -> None:
        """A line of the outlier log. Source: envoy/data/cluster/v3/outlier_detection_event.proto."""
        address = entry.get("upstream_url", "?")
        site = self._site_of(address)
        cluster = entry.get("cluster_name", "?")
        model = _model_of(cluster)
        if entry.get("action") != "EJECT":
            self._conditions.up(site, f"outlier {cluster} {address}", now, model)
            message = f"site {site} may take requests again"
            self._events.emit("site_returned", message, site=site, cluster=cluster)
            return
        kind = str(entry.get("type", "UNKNOWN"))
        recent = [each for each in self._recent.get(site, ()) if each.at > _newest(self._recent.get(site)) - RECENT_S]
        count = 2 if kind == "CONSECUTIVE_LOCAL_ORIGIN_FAILURE" else 3
        reason = why_ejected(kind, recent, count)
        if self._known_addresses(site) == 1:  # Envoy itself goes on with a site's other addresses
            self._conditions.ejected(site, f"outlier {cluster} {address}", reason, now, model)
        self._events.emit(
            "site_ejected",
            f"site {site} is ejected for a while: {reason}",
            level="warning",
            reason=reason,
            envoy_reason=kind,
            enforced=entry.get("enforced", False),
            site=site,
            cluster=cluster,
        )

    def _site_of(self, address: str) -> str:
        for site in self._plan().sites:
            for endpoint in (site.site.endpoint, site.site.grpc_endpoint):
                if endpoint is not None and any(address == f"{each}:{endpoint.port}" for each in site.addresses):
                    return site.name
        return address


def _address(entry: Mapping[str, Any]) -> str:
    found = entry.get("host", {}).get("socket_address", {})
    return f"{found.get('address')}:{found.get('port_value')}"


def _newest(recent: "collections.deque[Attempt] | None") -> float:
    return recent[-1].at if recent else 0.0


def _model_of(cluster: str) -> str:
    """The model of a cluster's name, as `values.cluster_name` makes it; the whole site where it is none."""
    if cluster.startswith("model-"):
        return cluster.removeprefix("model-").partition("@")[0].partition("~")[0]
    return "*" if cluster.startswith("any_model") else WHOLE_SITE
