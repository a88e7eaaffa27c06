"""What a request costs Envoy itself, in instructions that valgrind's callgrind counts: our configuration beside the one
written by hand, with and without TLS.

Other work on the machine does not change them, as it changes times. They leave out the kernel, and the control process.
"""

import contextlib
import http.client
import json
import re
import signal
import ssl
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.router import proxies
from tests.benchmarks.router.proxies import CONFIGURATIONS, INFER, tool
from tests.benchmarks.router.throughput import fixed_sites
from tests.benchmarks.table import Row
from tests.failover.load import eventually
from tests.servers import Certificates, make_certificates
from trihull_runtime.router.binary import find_envoy

WARM: Final = 100
REQUESTS: Final = 300
RUNS: Final = 3
BY_HAND: Final = "Envoy by hand"
BARE: Final = f"{BY_HAND}, bare"
SETUP: Final = (
    f"valgrind --tool=callgrind; the median of {RUNS} times {REQUESTS} requests after {WARM}, on one connection; the "
    "worker's thread alone; health checks are left out of both, since they come when they come"
)


def rows(folder: Path) -> list[Row]:
    """Count all three, without TLS and with it."""
    print("instructions: three configurations, without and with TLS", flush=True)
    certificates = make_certificates(folder / "certificates")
    found = []
    with fixed_sites(folder / "sites", certificates) as (ports, secured):
        for what, tls, sites in (("", None, ports), (", TLS on both sides", certificates, secured)):
            place = folder / ("plain" if tls is None else "tls")
            ours = counted(*generated(place / "ours", sites, tls), place / "ours-counts", tls)
            for peer, bare in ((BY_HAND, False), (BARE, True)):
                label, beside = ("bare", ", beside a bare one") if bare else ("hand", "")
                theirs = counted(*by_hand(place / label, sites, tls, bare=bare), place / f"{label}-counts", tls)
                name = f"thousand instructions of a request{what}{beside}"
                found.append(Row(name, ours, peers={peer: theirs}, setup=SETUP, paired=True))
    return found


def generated(folder: Path, ports: Sequence[int], tls: Certificates | None) -> tuple[Path, int]:
    """Have our router write its files; returns the bootstrap and the port."""
    with proxies.ours(folder, ports, tls=tls, TRIHULL_TIMINGS="wan") as proxy:
        port = int(proxy.url.rpartition(":")[2])
    state = folder / "state"
    clusters = state / "envoy" / "cds.json"
    clusters.write_text(json.dumps(without_checks(json.loads(clusters.read_text()))))
    return state / "bootstrap.json", port


def by_hand(folder: Path, ports: Sequence[int], tls: Certificates | None, *, bare: bool = False) -> tuple[Path, int]:
    """Write the configuration by hand, without health checks; returns it and the port."""
    path, port = proxies.by_hand(folder, ports, tls, bare=bare)
    path.write_text(re.sub(r"    health_checks:\n(    [ -].*\n)+", "", path.read_text()))
    assert "health_checks" not in path.read_text()
    return path, port


def counted(configuration: Path, port: int, folder: Path, tls: Certificates | None) -> list[float]:
    """Run Envoy under callgrind; returns the thousand instructions of a request, one figure a run."""
    folder.mkdir(parents=True)
    with _envoy(configuration, folder) as process, _connected(process, port, folder, tls) as connection:
        _ask(connection, WARM)
        _dumped(process.pid, folder)
        begun = time.monotonic()
        time.sleep(1)
        idle = _dumped(process.pid, folder)
        idle_s = time.monotonic() - begun
        found = []
        for _ in range(RUNS):
            begun = time.monotonic()
            _ask(connection, REQUESTS)
            took_s = time.monotonic() - begun
            threads = _dumped(process.pid, folder)
            worker = max(threads, key=lambda thread: threads[thread])
            found.append((threads[worker] - idle.get(worker, 0) / idle_s * took_s) / REQUESTS / 1000)
    print(f"  {folder.name}{'' if tls is None else ', TLS'}: {statistics.median(found):.1f} thousand", flush=True)
    return found


@contextlib.contextmanager
def _envoy(configuration: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        tool("valgrind"), "--tool=callgrind", f"--callgrind-out-file={folder / 'counts'}", "--separate-threads=yes",
        "--quiet", str(find_envoy()), "-c", str(configuration), "-l", "error", "--disable-hot-restart",
        "--concurrency", "1",
    ]  # fmt: skip
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def _connected(
    process: subprocess.Popen[bytes], port: int, folder: Path, tls: Certificates | None
) -> Iterator[http.client.HTTPConnection]:
    """Wait for the first answer, which comes late: Envoy starts some 30 times slower under valgrind."""
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, f"it ended: {(folder / 'output.log').read_text()[-2000:]}"
        return proxies.answers(url if tls is None else proxies.secured(url))

    eventually(answers, f"{url} answers", 120)
    if tls is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    else:
        context = ssl.create_default_context(cafile=tls.ca)
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
    with contextlib.closing(connection):
        yield connection


def _ask(connection: http.client.HTTPConnection, times: int) -> None:
    body = re.search(r"wrk\.body = '(.*)'", (CONFIGURATIONS / "post.lua").read_text())
    assert body is not None
    for _ in range(times):
        connection.request("POST", INFER, body[1], {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == HTTPStatus.OK, answer.status


def _dumped(pid: int, folder: Path) -> dict[str, int]:
    """Return how many instructions each thread executed since the last time.

    callgrind_control has one file more of them written for each thread: counts.DUMP-THREAD.
    """
    subprocess.run([tool("callgrind_control"), "--dump", str(pid)], capture_output=True, check=True)
    names = [path.name.removeprefix("counts.").partition("-") for path in folder.glob("counts.*-*")]
    dump = max(int(number) for number, _, _ in names)
    totals = {}
    for _, _, thread in (name for name in names if name[0] == f"{dump}"):
        total = re.search(r"^totals: (\d+)", (folder / f"counts.{dump}-{thread}").read_text(), re.MULTILINE)
        totals[thread] = 0 if total is None else int(total[1])
    return totals


def without_checks(value: Any) -> Any:
    """Return the same without health checks, at any depth."""
    if isinstance(value, dict):
        return {key: without_checks(item) for key, item in value.items() if key != "health_checks"}
    return [without_checks(item) for item in value] if isinstance(value, list) else value
