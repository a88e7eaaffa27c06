"""Outages: a site fails under steady load; our router beside nginx, HAProxy and Caddy, each set up for failover."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks.router import proxies, sites
from tests.benchmarks.router.measuring import Outage, TimedLoad, longest_s, outage
from tests.benchmarks.router.proxies import Proxy
from tests.benchmarks.table import Row, Target
from trihull_runtime.contract import Routing
from trihull_runtime.router.timings import LAB

RATE_PER_S: Final = 200
CALM_S: Final = 2.5
FAULT_S: Final = 3.0
HEDGE_S: Final = 0.1
HEDGED_WORST_S: Final = 0.35
SETUP: Final = (
    f"tests/benchmarks/router/configurations; {RATE_PER_S} requests per second, three sites, the first one fails; "
    f"connect {LAB.connect_s} s, one try {LAB.per_try_s} s, checks every {LAB.health_interval_s} s for everybody"
)
Start = Callable[[Path, Sequence[int]], AbstractContextManager[Proxy]]


@dataclass(frozen=True)
class Arrangement:
    """How requests are spread while all is well."""

    words: str
    ours: Start
    peers: tuple[Start, ...]


def _arrangement(words: str, policy: str, *, ordered: bool) -> Arrangement:
    peers = (proxies.nginx, proxies.haproxy, proxies.caddy)
    return Arrangement(
        words,
        partial(proxies.ours, TRIHULL_POLICY=policy),
        tuple(partial(peer, timings=LAB, ordered=ordered) for peer in peers),
    )


ARRANGEMENTS: Final = (
    _arrangement("first choice", "priority", ordered=True),
    _arrangement("equal shares", "weighted", ordered=False),
)


def rows(folder: Path, faults: Sequence[str] = tuple(sites.FAULTS)) -> list[Row]:
    """Measure every fault in both arrangements, and silent sites with hedging."""
    found: list[Row] = []
    for arrangement in ARRANGEMENTS:
        for fault in faults:
            found += _rows(folder, fault, arrangement)
    hedged = Routing(hedge_after_s=HEDGE_S)
    for fault in [fault for fault in faults if fault in ("frozen", "blackholed")]:
        _, seen = measured(folder, fault, partial(proxies.ours, routing=hedged))
        what = f"site {fault}, first choice, hedged after {HEDGE_S} s"
        found += _pair(what, seen, HEDGED_WORST_S, {})
    return found


def _rows(folder: Path, fault: str, arrangement: Arrangement) -> list[Row]:
    _, seen = measured(folder, fault, arrangement.ours)
    peers = dict(measured(folder, fault, start) for start in arrangement.peers)
    limit_s = longest_s(fault, seen.calm_p99_s, LAB.connect_s, LAB.per_try_s)
    return _pair(f"site {fault}, {arrangement.words}", seen, limit_s, peers)


def _pair(what: str, seen: Outage, limit_s: float, peers: Mapping[str, Outage]) -> list[Row]:
    setup = SETUP if peers else ""
    lost = {name: [each.lost] for name, each in peers.items()}
    worst = {name: [each.worst_s] for name, each in peers.items()}
    everybody = {"ours": seen, **peers}
    sent = {f"sent, {name}": [each.sent] for name, each in everybody.items()}
    calm = {f"calm p99, {name}: s": [each.calm_p99_s] for name, each in everybody.items()}
    return [
        Row(f"{what}: requests lost", [seen.lost], Target(at_most=0), lost, setup, sent),
        Row(f"{what}: longest answer, s", [seen.worst_s], Target(at_most=limit_s), worst, setup, calm),
    ]


def measured(folder: Path, fault: str, start: Start) -> tuple[str, Outage]:
    """Let one site fail behind one proxy; returns the proxy's name and what clients saw."""
    place = folder / f"outage{time.monotonic_ns()}"
    place.mkdir(parents=True)
    with sites.three() as three, start(place, [each.port for each in three]) as proxy:
        with TimedLoad(proxy.url, RATE_PER_S) as load:
            time.sleep(CALM_S)
            fault_at = time.monotonic()
            sites.FAULTS[fault](three[0])
            time.sleep(FAULT_S)
        seen = outage(load.answered, fault_at)
    problems = f"; {', '.join(load.problems)}" if load.problems else ""
    print(
        f"  {fault}, {proxy.name}: {seen.lost} of {seen.sent} lost, longest {seen.worst_s:.3f} s, "
        f"calm p99 {seen.calm_p99_s:.4f} s{problems[:200]}",
        flush=True,
    )
    return proxy.name, seen
