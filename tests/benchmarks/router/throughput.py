"""Throughput: our generated configuration beside one written by hand for the same Envoy; and, with every feature on,
beside nginx and HAProxy.

Each proxy has one core to itself, wrk and the sites have the others; who is not measured is stopped, so that its checks
and its control process cost only their own proxy.
"""

import contextlib
import os
import re
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.benchmarks.router import proxies
from tests.benchmarks.router.proxies import CONFIGURATIONS, INFER, Proxy, tool
from tests.benchmarks.table import STATED, MissingError, Row, Target
from tests.failover.load import eventually
from tests.failover.standin import ACCEPTED
from tests.servers import Certificates, free_ports, make_certificates
from trihull_runtime.contract import Client, Clients, Routing
from trihull_runtime.contract.routing import ResidencyClass
from trihull_runtime.router.timings import WAN

PAIRS: Final = 10
CONNECTIONS: Final = 32
RUN_S: Final = 2
WARM_S: Final = 1
KEY: Final = "bench-key-0123456789abcdef"
AS_FAST: Final = Target(times=0.95)
SETUP: Final = (
    f"wrk, one thread, {CONNECTIONS} connections, {RUN_S} s after {WARM_S} s that do not count; POST of one image, a "
    "fixed answer of three nginx sites; the proxy on one core, wrk and sites on the others; plain HTTP on both sides, "
    "where TLS is not named: then to clients, and mutual to sites, with HTTP/2; tests/benchmarks/router/configurations"
)
EVERYTHING: Final = "trihull route, everything on"
WITH_TLS: Final = ", TLS"


def rows(folder: Path) -> list[Row]:
    """Measure everybody in turn, round by round."""
    print(f"throughput: {PAIRS} rounds", flush=True)
    cores = sorted(os.sched_getaffinity(0))
    seen: dict[str, list[Run]] = {}
    with contextlib.ExitStack() as stack:
        with on_cores(cores[:-1] or cores):
            tls = make_certificates(folder / "certificates")
            ports, secured = stack.enter_context(fixed_sites(folder / "sites", tls))
        with on_cores(cores[-1:]):
            running = [stack.enter_context(each) for each in everybody(folder, ports, secured, tls)]
        for each in running:
            stack.callback(each.resume)  # one that is stopped cannot end
            each.pause()
        for number in range(PAIRS + 1):  # the first round fills caches and is not counted
            # Every other round goes backwards, so that nobody is always the one after the same neighbour.
            for each in running if number % 2 else reversed(running):
                each.resume()
                run = measured(each, cores[:-1] or cores)
                each.pause()
                if number:
                    seen.setdefault(each.name, []).append(run)
        direct = [per_s(f"http://127.0.0.1:{ports[0]}", cores[:-1] or cores) for _ in range(3)]
    for name, runs in seen.items():
        rate, cpu_us = statistics.median(run.per_s for run in runs), statistics.median(run.cpu_us for run in runs)
        print(f"  {name}: {rate:,.0f} requests/s, {cpu_us:.1f} us of processor time each", flush=True)
    return compared(seen, direct)


@dataclass(frozen=True)
class Run:
    """Requests per second, and the microseconds of processor time that the proxy's processes spent on each."""

    per_s: float
    cpu_us: float


def compared(seen: Mapping[str, Sequence[Run]], direct: Sequence[float]) -> list[Row]:
    """Make rows of what a request costs, in microseconds, since less is better in every table.

    The time that passes is what a client's throughput comes from, the processor's time what other work on the machine
    changes little. Our own configuration without the control process tells what that process costs.
    """
    passed = {name: [1e6 / run.per_s for run in runs] for name, runs in seen.items()}
    spent = {name: [run.cpu_us for run in runs] for name, runs in seen.items()}
    envoys = [name for name in seen if name.startswith("Envoy")]
    same, bare, same_tls, bare_tls = [
        [name for name in envoys if name.endswith(WITH_TLS) is tls and (proxies.BARE in name) is bare]
        for tls in (False, True)
        for bare in (False, True)
    ]
    own = (proxies.OURS, proxies.OURS + WITH_TLS, EVERYTHING, proxies.GENERATED)
    balancers = [name for name in seen if name not in (*envoys, *own)]
    rates = {f"requests/s, {name}": [run.per_s for run in runs] for name, runs in seen.items()}

    def row(
        what: str, costs: Mapping[str, list[float]], ours: str, peers: Sequence[str], target: Target = STATED
    ) -> Row:
        parts = {name: found for name, found in rates.items() if name.partition(", ")[2] in (ours, *peers)}
        return Row(what, costs[ours], target, {name: costs[name] for name in peers}, SETUP, parts, paired=True)

    return [
        row("a request at full load, TLS on both sides, us", passed, proxies.OURS + WITH_TLS, same_tls, AS_FAST),
        row(
            "a request at full load, TLS on both sides, beside a bare one, us",
            passed,
            proxies.OURS + WITH_TLS,
            bare_tls,
        ),
        row("processor time of a request, TLS on both sides, us", spent, proxies.OURS + WITH_TLS, same_tls),
        row("a request at full load, us", passed, proxies.OURS, same, AS_FAST),
        row("a request at full load, beside a bare one, us", passed, proxies.OURS, bare),
        row("processor time of a request, us", spent, proxies.OURS, same),
        row(
            "processor time of a request, beside our configuration alone, us", spent, proxies.OURS, [proxies.GENERATED]
        ),
        row("a request at full load, everything on, us", passed, EVERYTHING, balancers),
        row("processor time of a request, everything on, us", spent, EVERYTHING, balancers),
        Row("a request at full load, no proxy between, us", [1e6 / rate for rate in direct]),
    ]


def everybody(
    folder: Path, ports: Sequence[int], secured: Sequence[int], tls: Certificates
) -> Iterator[contextlib.AbstractContextManager[Proxy]]:
    """All proxies, ours first; each is started when it is asked for."""
    yield named_tls(proxies.ours(folder / "ours-tls", secured, tls=tls, TRIHULL_TIMINGS="wan"))
    for bare in (False, True):
        yield named_tls(proxies.envoy(folder / f"envoy-tls-{bare}", secured, tls, bare=bare))
    yield proxies.ours(folder / "ours", ports, TRIHULL_TIMINGS="wan")
    yield with_everything(folder / "everything", ports)
    for bare in (False, True):
        yield proxies.envoy(folder / f"envoy-{bare}", ports, bare=bare)
    (folder / "generated").mkdir()
    yield proxies.generated(folder / "generated", ports)
    for peer in (proxies.nginx, proxies.haproxy):
        (folder / peer.__name__).mkdir()
        yield peer(folder / peer.__name__, ports, WAN, ordered=True)


@contextlib.contextmanager
def named_tls(started: contextlib.AbstractContextManager[Proxy]) -> Iterator[Proxy]:
    """The same, by another name than the one without TLS."""
    with started as proxy:
        yield replace(proxy, name=proxy.name + WITH_TLS)


@contextlib.contextmanager
def with_everything(folder: Path, ports: Sequence[int]) -> Iterator[Proxy]:
    """Our router with API keys, a limit that is never reached, residency classes, and every request logged."""
    folder.mkdir()
    clients = folder / "clients.json"
    Clients(1, (Client("bench", (KEY,), "inside", 1_000_000, 1_000_000),)).write(clients)
    routing = Routing(classes={"inside": ResidencyClass(("eu",)), "anywhere": ResidencyClass(("eu", "us"))})
    environment = {"TRIHULL_TIMINGS": "wan", "TRIHULL_CLIENTS": str(clients), "TRIHULL_ACCESS_LOG": "all"}
    with proxies.ours(folder, ports, routing, "digits@inside", None, **environment) as proxy:
        yield replace(proxy, name=EVERYTHING)


@contextlib.contextmanager
def fixed_sites(folder: Path, tls: Certificates) -> Iterator[tuple[list[int], list[int]]]:
    """Run three sites that give one fixed answer, until the block ends; yields their ports without and with TLS."""
    every = free_ports(6)  # at once, so that they differ
    ports, secured = every[:3], every[3:]
    lines = [f"listen 127.0.0.1:{port};" for port in ports]
    lines += [f"listen 127.0.0.1:{port} ssl http2;" for port in secured]
    path = proxies.written("sites.conf", folder, tls, listens="\n    ".join(lines), release=ACCEPTED)
    with proxies.running("the sites", [tool("nginx"), "-p", str(folder), "-c", str(path)], folder, ports[0]):
        yield ports, secured


@contextlib.contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Let what is started in the block run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measured(proxy: Proxy, cores: Sequence[int]) -> Run:
    """Load one proxy at full speed."""
    answering(proxy.url)
    wrk(proxy.url, cores, WARM_S)
    before = cpu_s(proxy)
    rate = rate_of(wrk(proxy.url, cores, RUN_S))
    return Run(rate, 1e6 * (cpu_s(proxy) - before) / (rate * RUN_S))


def cpu_s(proxy: Proxy) -> float:
    """Return the seconds of processor time of all its processes (proc(5), stat: utime and stime)."""
    ticks = 0
    for pid in proxies.tree(proxy.pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def answering(url: str) -> None:
    """Wait until it answers."""
    eventually(lambda: proxies.answers(url, **{"x-api-key": KEY}), f"{url} answers")


def per_s(url: str, cores: Sequence[int]) -> float:
    """Return the requests per second that wrk gets through."""
    answering(url)
    return rate_of(wrk(url, cores, RUN_S))


def wrk(url: str, cores: Sequence[int], seconds: int) -> str:
    """Run wrk; returns what it prints."""
    command = [
        tool("wrk"), "--threads", "1", "--connections", f"{CONNECTIONS}", "--duration", f"{seconds}s",
        "--script", str(CONFIGURATIONS / "post.lua"), "--header", f"x-api-key: {KEY}", f"{url}{INFER}",
    ]  # fmt: skip
    with on_cores(cores):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def rate_of(output: str) -> float:
    """Read what wrk prints; a run with errors or other answers than 2xx is none."""
    found = re.search(r"^Requests/sec:\s+([\d.]+)", output, re.MULTILINE)
    wrong = re.search(r"^\s+(Non-2xx.*|Socket errors.*)", output, re.MULTILINE)
    if found is None or wrong is not None:
        raise MissingError(f"wrk measured nothing that counts: {wrong[1] if wrong else output[-300:]}")
    return float(found[1])
