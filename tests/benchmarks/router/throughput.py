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
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.benchmarks.router import proxies
from tests.benchmarks.router.proxies import CONFIGURATIONS, INFER, Proxy, tool
from tests.benchmarks.table import MissingError, Row, Target
from tests.failover.load import eventually
from tests.failover.rig import ask
from tests.failover.standin import ACCEPTED
from tests.servers import free_ports
from trihull_runtime.contract import Client, Clients, Routing
from trihull_runtime.contract.routing import ResidencyClass
from trihull_runtime.router.timings import WAN

PAIRS: Final = 12
CONNECTIONS: Final = 32
RUN_S: Final = 3
WARM_S: Final = 1
KEY: Final = "bench-key-0123456789abcdef"
AS_FAST: Final = Target(times=0.95)
SETUP: Final = (
    f"wrk, one thread, {CONNECTIONS} connections, {RUN_S} s after {WARM_S} s that do not count; POST of one image, a fixed "
    "answer of three nginx sites; the proxy on one core, wrk and sites on the others; plain HTTP on both sides; "
    "tests/benchmarks/router/configurations"
)
EVERYTHING: Final = "trihull route, everything on"


def rows(folder: Path) -> list[Row]:
    """Measure everybody in turn, round by round."""
    print(f"throughput: {PAIRS} rounds", flush=True)
    cores = sorted(os.sched_getaffinity(0))
    seen: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        with on_cores(cores[:-1] or cores):
            ports = stack.enter_context(fixed_sites(folder / "sites"))
        with on_cores(cores[-1:]):
            running = [stack.enter_context(each) for each in everybody(folder, ports)]
        stack.callback(lambda: [each.resume() for each in running])
        for each in running:
            each.pause()
        for number in range(PAIRS + 1):  # the first round fills caches and is not counted
            # Every other round goes backwards, so that nobody is always the one after the same neighbour.
            for each in running if number % 2 else reversed(running):
                each.resume()
                rate = per_s(each.url, cores[:-1] or cores)
                each.pause()
                if number:
                    seen.setdefault(each.name, []).append(rate)
        direct = [per_s(f"http://127.0.0.1:{ports[0]}", cores[:-1] or cores) for _ in range(3)]
    for name, rates in {**seen, "the sites alone": direct}.items():
        print(
            f"  {name}: {statistics.median(rates):,.0f} requests/s ({min(rates):,.0f} to {max(rates):,.0f})", flush=True
        )
    return compared(seen, direct)


def compared(seen: dict[str, list[float]], direct: Sequence[float]) -> list[Row]:
    """Make rows of requests per second: what a request costs in microseconds, since less is better in every table."""
    costs = {name: [1e6 / rate for rate in rates] for name, rates in seen.items()}
    ours, everything = costs.pop(proxies.OURS), costs.pop(EVERYTHING)
    raw = {name: costs.pop(name) for name in list(costs) if name.startswith("Envoy")}
    rates = {f"requests/s, {name}": found for name, found in seen.items()}
    return [
        Row("a request at full load, us", ours, AS_FAST, raw, SETUP,
            {name: found for name, found in rates.items() if "everything" not in name}, paired=True),
        Row("the same, keys, limit, classes, all logged, us", everything, peers=costs, setup=SETUP, parts=rates, paired=True),
        Row("a request at full load, the sites without a proxy, us", [1e6 / rate for rate in direct]),
    ]  # fmt: skip


def everybody(folder: Path, ports: Sequence[int]) -> Iterator[contextlib.AbstractContextManager[Proxy]]:
    """All proxies, ours first; each is started when it is asked for."""
    yield proxies.ours(folder / "ours", ports, TRIHULL_TIMINGS="wan")
    yield with_everything(folder / "everything", ports)
    for name, start in (("envoy", proxies.envoy),):
        (folder / name).mkdir()
        yield start(folder / name, ports)
    for peer in (proxies.nginx, proxies.haproxy):
        (folder / peer.__name__).mkdir()
        yield peer(folder / peer.__name__, ports, WAN, ordered=True)


@contextlib.contextmanager
def with_everything(folder: Path, ports: Sequence[int]) -> Iterator[Proxy]:
    """Our router with API keys, a limit that is never reached, residency classes, and every request logged."""
    folder.mkdir()
    clients = folder / "clients.json"
    Clients(1, (Client("bench", (KEY,), "inside", 1_000_000, 1_000_000),)).write(clients)
    routing = Routing(classes={"inside": ResidencyClass(("eu",)), "anywhere": ResidencyClass(("eu", "us"))})
    environment = {"TRIHULL_TIMINGS": "wan", "TRIHULL_CLIENTS": str(clients), "TRIHULL_ACCESS_LOG": "all"}
    with proxies.ours(folder, ports, routing, "digits@inside", **environment) as proxy:
        yield replace(proxy, name=EVERYTHING)


@contextlib.contextmanager
def fixed_sites(folder: Path) -> Iterator[list[int]]:
    """Run three sites that give one fixed answer, until the block ends."""
    ports = free_ports(3)
    listens = "\n    ".join(f"listen 127.0.0.1:{port};" for port in ports)
    path = proxies.written("sites.conf", folder, listens=listens, release=ACCEPTED)
    with proxies.running("the sites", [tool("nginx"), "-p", str(folder), "-c", str(path)], folder, ports[0]):
        yield ports


@contextlib.contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Let what is started in the block run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def per_s(url: str, cores: Sequence[int]) -> float:
    """Return the requests per second that wrk gets through."""
    eventually(lambda: ask(f"{url}{INFER}", "POST", b"{}", {"x-api-key": KEY})[0] == 200, f"{url} answers")
    command = [
        tool("wrk"), "--threads", "1", "--connections", f"{CONNECTIONS}", "--script", str(CONFIGURATIONS / "post.lua"),
        "--header", f"x-api-key: {KEY}", f"{url}{INFER}",
    ]  # fmt: skip
    with on_cores(cores):
        subprocess.run([*command, "--duration", f"{WARM_S}s"], capture_output=True, check=True, timeout=60)
        done = subprocess.run(
            [*command, "--duration", f"{RUN_S}s"], capture_output=True, text=True, check=True, timeout=60
        )
    return rate_of(done.stdout)


def rate_of(output: str) -> float:
    """Read what wrk prints; a run with errors or other answers than 2xx is none."""
    found = re.search(r"^Requests/sec:\s+([\d.]+)", output, re.MULTILINE)
    wrong = re.search(r"^\s+(Non-2xx.*|Socket errors.*)", output, re.MULTILINE)
    if found is None or wrong is not None:
        raise MissingError(f"wrk measured nothing that counts: {wrong[1] if wrong else output[-300:]}")
    return float(found[1])
