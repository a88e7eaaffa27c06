"""A thousand endpoints: how long a change needs until Envoy has it, what that time is made of, and memory.

Four sites of 250 addresses each are what the target is for; a thousand sites of one are stated beside it.

The changes are measured on the control loop alone, in this process, beside a real Envoy that checks a thousand real
listeners; once more, with everything that a router does meanwhile, by orders to a real one.
"""

import asyncio
import contextlib
import io
import statistics
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.router import proxies
from tests.benchmarks.router.proxies import FLEET, tool
from tests.benchmarks.table import Row, Target
from tests.failover.load import eventually
from tests.failover.rig import Router, site
from tests.failover.standin import ACCEPTED
from tests.servers import free_ports
from trihull_runtime.contract import Fleet, Policy, SiteState
from trihull_runtime.router import addresses
from trihull_runtime.router import control as control_module
from trihull_runtime.router.binary import find_envoy
from trihull_runtime.router.control import Control
from trihull_runtime.router.envoy_admin import EnvoyAdmin
from trihull_runtime.router.events import Events
from trihull_runtime.router.files import Files
from trihull_runtime.router.health import Load, SiteHealth
from trihull_runtime.router.process import EnvoyProcess
from trihull_runtime.router.run import layout_of
from trihull_runtime.router.settings import Settings
from trihull_runtime.router.state import StateFolder

SITES: Final = 1000
LEVELS: Final = 10  # priorities that the fleet spreads its sites over
CHANGES: Final = 20  # there and back again, so ten sites
ORDERS: Final = 6  # drains by the admin API
QUICK: Final = Target(at_most=0.1)
MB: Final = 1 << 20
ADMIN_LIMIT_S: Final = 60.0  # far above the router's own, so that a slow answer is measured and does not end the run
LARGE_SITES: Final = 4  # of which each has a part of the thousand addresses
ENDPOINTS_TEXT: Final = f"{SITES:,} endpoints of {LARGE_SITES} sites"
SETUP_TEXT: Final = f"{SITES:,} sites"


def rows(folder: Path) -> list[Row]:
    """Measure the control loop, then a whole router."""
    print(f"endpoints: {SITES:,}, {CHANGES} changes each", flush=True)
    with listeners(folder / "sites") as port:
        with large_sites():
            few, large_memory = asyncio.run(changes(folder / "few", large_fleet(port), LARGE_SITES))
        fleet = fleet_of(port)
        (health, drain), _ = asyncio.run(changes(folder / "control", fleet, SITES))
        live, memory = live_router(folder / "router", fleet)
    all_seen = {
        f"health, {LARGE_SITES} sites": few[0],
        f"drain, {LARGE_SITES} sites": few[1],
        "health": health,
        "drain": drain,
        "drain, live": live,
    }
    for name, seen in all_seen.items():
        parts = {part: f"{statistics.median(found):.4f}" for part, found in seen.parts.items()}
        print(f"  {name}: {statistics.median(seen.whole):.3f} s, worst {max(seen.whole):.3f} s {parts}", flush=True)
    return [
        Row(f"{ENDPOINTS_TEXT}: health changed until Envoy has it, s", few[0].whole, QUICK, parts=few[0].parts),
        Row(f"{ENDPOINTS_TEXT}: drain ordered until Envoy has it, s", few[1].whole, QUICK, parts=few[1].parts),
        Row(f"{ENDPOINTS_TEXT}: resident memory of Envoy, MiB", [large_memory]),
        Row(f"{SETUP_TEXT}: a site's health changed until Envoy has it, s", health.whole, parts=health.parts),
        Row(f"{SETUP_TEXT}: drain ordered until Envoy has it, s", drain.whole, parts=drain.parts),
        Row(f"{SETUP_TEXT}: the same by the admin API of a running router, s", live.whole),
        Row(f"{SETUP_TEXT}: such orders refused, of {ORDERS}", [sum(live.parts["refused"])], Target(at_most=0)),
        *(Row(f"{SETUP_TEXT}: resident memory of {name}, MiB", [each]) for name, each in memory.items()),
    ]


@dataclass
class Seen:
    """Seconds of every change, and of its parts by name."""

    whole: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)


def address_of(index: int) -> str:
    """Return the loopback address of a site; on Linux all of 127.0.0.0/8 is there."""
    return f"127.{1 + index // 250}.0.{1 + index % 250}"


def site_name(index: int, count: int, sites: int = SITES) -> str:
    """Return the site that is changed in a round of so many: spread over the fleet, and over its priorities."""
    if sites == LARGE_SITES:
        return f"site-{index % (sites - 1)}"  # the last one stands at the end already
    return f"site-{index * (sites // count) + index % LEVELS}"


def large_fleet(port: int) -> Fleet:
    """Return the fleet of few sites, each with many addresses (`large_sites` resolves their names)."""
    sites = (
        site(f"site-{index}", index, f"http://site-{index}.internal:{port}", f"site-{index}.internal")
        for index in range(LARGE_SITES)
    )
    return replace(FLEET, sites=tuple(sites))


@contextlib.contextmanager
def large_sites() -> Iterator[None]:
    """Let each large site's name resolve to its part of the addresses while the block runs."""
    each = SITES // LARGE_SITES
    large = {
        f"site-{index}.internal": tuple(address_of(number) for number in range(index * each, (index + 1) * each))
        for index in range(LARGE_SITES)
    }

    async def resolve(names: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {name: large[name] for name in names}

    real, addresses.resolve = addresses.resolve, resolve
    try:
        yield
    finally:
        addresses.resolve = real


def fleet_of(port: int) -> Fleet:
    """Return the fleet: one address per site."""
    sites = (
        site(f"site-{index}", index % LEVELS, f"http://{address_of(index)}:{port}", f"site-{index}.internal")
        for index in range(SITES)
    )
    return replace(FLEET, sites=tuple(sites))


@contextlib.contextmanager
def listeners(folder: Path) -> Iterator[int]:
    """Listen at every site's address until the block ends; gives the port."""
    (port,) = free_ports(1)
    addresses = ["127.0.0.1", *map(address_of, range(SITES))]
    listens = "\n    ".join(f"listen {address}:{port};" for address in addresses)
    path = proxies.written("sites.conf", folder, listens=listens, release=ACCEPTED)
    with proxies.running("the sites", [tool("nginx"), "-p", str(folder), "-c", str(path)], folder, port):
        yield port


async def changes(folder: Path, fleet: Fleet, sites: int) -> tuple[tuple[Seen, Seen], float]:
    """Change one site's health and back, its state and back, many times over; returns Envoy's memory in MiB too."""
    folder.mkdir()
    fleet.write(folder / "fleet.json")
    ingress, admin = free_ports(2)
    settings = Settings(
        folder / "fleet.json",
        folder / "state",
        policy=Policy.PRIORITY,
        host="127.0.0.1",
        port=ingress,
        admin_port=admin,
    )
    state = StateFolder(settings.state)
    process = EnvoyProcess(find_envoy(), layout_of(settings), own_group=False)
    process.admin = EnvoyAdmin(process.layout.admin_socket, ADMIN_LIMIT_S)
    control = Control(settings, state, process, Events(io.StringIO()))
    try:
        configuration = await control.boot()
        process.start(configuration.bootstrap)
        process.wait_ready()
        await control.confirm()
        health, drain = Seen(), Seen()
        for index in range(CHANGES // 2):
            name = site_name(index, CHANGES // 2, sites)
            down = {name: SiteHealth(up=False, reason="it fails its health check")}
            await _timed(health, control, control.replan(down, Load()))
            await _timed(health, control, control.replan({}, Load()))
            await _timed(drain, control, control.override(name, SiteState.DRAINING))
            await _timed(drain, control, control.override(name, None))
        pid = process.pid()
        assert pid is not None, "Envoy runs"
        return (health, drain), resident_mib(pid)
    finally:
        if process.alive():
            process.quit()
        state.close()


async def _timed(seen: Seen, control: Control, change: Coroutine[Any, Any, None]) -> None:
    """Time a change and its parts: what plans, renders, has Envoy validate, writes, and waits for Envoy."""
    parts: dict[str, float] = {}
    before = control.memory.config_version
    with (
        _measured(parts, "plan", control_module, "make_plan"),
        _measured(parts, "render", control_module, "render"),
        _measured(parts, "validate", EnvoyProcess, "validate"),
        _measured(parts, "write and fsync", Files, "write"),
        _measured_async(parts, "wait for Envoy", control._applying, "_wait"),
    ):
        begin = time.perf_counter()
        await change
        seen.whole.append(time.perf_counter() - begin)
    assert control.memory.config_version > before, "the change is one that Envoy is told"
    parts["rest"] = seen.whole[-1] - sum(parts.values())
    for name, value in parts.items():
        seen.parts.setdefault(name, []).append(value)


@contextlib.contextmanager
def _measured(parts: dict[str, float], name: str, owner: Any, attribute: str) -> Iterator[None]:
    """Add up what a function takes while the block runs."""
    real = getattr(owner, attribute)
    parts[name] = 0.0

    def timed(*arguments: Any, **more: Any) -> Any:
        begin = time.perf_counter()
        try:
            return real(*arguments, **more)
        finally:
            parts[name] += time.perf_counter() - begin

    setattr(owner, attribute, timed)
    try:
        yield
    finally:
        setattr(owner, attribute, real)


@contextlib.contextmanager
def _measured_async(parts: dict[str, float], name: str, owner: Any, attribute: str) -> Iterator[None]:
    """Likewise of a coroutine."""
    real = getattr(owner, attribute)
    parts[name] = 0.0

    async def timed(*arguments: Any, **more: Any) -> Any:
        begin = time.perf_counter()
        try:
            return await real(*arguments, **more)
        finally:
            parts[name] += time.perf_counter() - begin

    setattr(owner, attribute, timed)
    try:
        yield
    finally:
        setattr(owner, attribute, real)


def live_router(folder: Path, fleet: Fleet) -> tuple[Seen, dict[str, float]]:
    """Drain sites of a running router; returns the times, and the resident memory of its processes in MiB.

    An order that it refuses is one that Envoy never had: it counts among the `refused`.
    """
    router = Router(folder, TRIHULL_TIMINGS="wan", TRIHULL_ACCESS_LOG="trouble")
    seen = Seen()
    try:
        fleet.write(router.fleet_path)
        router.start()
        assert router.process is not None, "it was started"
        eventually(lambda: set(router.health().values()) == {"healthy"}, "all sites are healthy", 60)
        for index in range(ORDERS):
            name = site_name(index, ORDERS)
            begin = time.perf_counter()
            status, answer = router.admin("POST", f"/v1/sites/{name}/drain")
            seen.whole.append(time.perf_counter() - begin)
            seen.parts.setdefault("refused", []).append(status != HTTPStatus.OK)
            if status != HTTPStatus.OK:
                print(f"  drain of {name} refused with {status}: {answer}", flush=True)
            router.admin("POST", f"/v1/sites/{name}/undrain")
        pid = router.envoy.pid()
        assert pid is not None, "Envoy runs"
        return seen, {"the control process": resident_mib(router.process.pid), "Envoy": resident_mib(pid)}
    finally:
        router.close()


def resident_mib(pid: int) -> float:
    """Return a process's resident memory (proc(5), VmRSS)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / MB
