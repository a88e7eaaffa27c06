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
from tests.servers import Certificates, free_ports, make_certificates
from trihull_runtime.router.binary import find_envoy

WARM: Final = 100
REQUESTS: Final = 300
RUNS: Final = 3
BY_HAND: Final = "Envoy by hand"
SETUP: Final = (
    f"valgrind --tool=callgrind; the median of {RUNS} times {REQUESTS} requests after {WARM}, on one connection; "
    "health checks are left out of both, since they come when they come"
)


def rows(folder: Path) -> list[Row]:
    """Count both, without TLS and with it."""
    print("instructions: two configurations, without and with TLS", flush=True)
    certificates = make_certificates(folder / "certificates")
    found = []
    with fixed_sites(folder / "sites", certificates) as (ports, secured):
        for what, tls, sites in (("", None, ports), (", TLS on both sides", certificates, secured)):
            place = folder / ("plain" if tls is None else "tls")
            ours = counted(*generated(place / "ours", sites, tls), place / "ours-counts", tls)
            peer = counted(*by_hand(place / "hand", sites, tls), place / "hand-counts", tls)
            found.append(
                Row(f"thousand instructions of a request{what}", ours, peers={BY_HAND: peer}, setup=SETUP, paired=True)
            )
    return found


def generated(folder: Path, ports: Sequence[int], tls: Certificates | None) -> tuple[Path, int]:
    """Have our router write its files; returns the bootstrap and the port."""
    with proxies.ours(folder, ports, tls=tls, TRIHULL_TIMINGS="wan") as proxy:
        port = int(proxy.url.rpartition(":")[2])
    state = folder / "state"
    clusters = state / "envoy" / "cds.json"
    clusters.write_text(json.dumps(without_checks(json.loads(clusters.read_text()))))
    return state / "bootstrap.json", port


def by_hand(folder: Path, ports: Sequence[int], tls: Certificates | None) -> tuple[Path, int]:
    """Write the configuration by hand; returns it and the port."""
    (port,) = free_ports(1)
    path = proxies.written("envoy.yaml", folder, tls, port=port, **{f"site{n}": each for n, each in enumerate(ports)})
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
        idle_per_s = _dumped(process.pid, folder) / (time.monotonic() - begun)
        found = []
        for _ in range(RUNS):
            begun = time.monotonic()
            _ask(connection, REQUESTS)
            took_s = time.monotonic() - begun
            found.append((_dumped(process.pid, folder) - idle_per_s * took_s) / REQUESTS / 1000)
    print(f"  {folder.name}{'' if tls is None else ', TLS'}: {statistics.median(found):.1f} thousand", flush=True)
    return found


@contextlib.contextmanager
def _envoy(configuration: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        tool("valgrind"), "--tool=callgrind", f"--callgrind-out-file={folder / 'counts'}", "--quiet",
        str(find_envoy()), "-c", str(configuration), "-l", "error", "--disable-hot-restart", "--concurrency", "1",
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


def _dumped(pid: int, folder: Path) -> int:
    """Return how many instructions there were since the last time (callgrind_control writes one more file of them)."""
    subprocess.run([tool("callgrind_control"), "--dump", str(pid)], capture_output=True, check=True)
    newest = max(folder.glob("counts.*"), key=lambda path: int(path.suffix[1:]))
    total = re.search(r"^totals: (\d+)", newest.read_text(), re.MULTILINE)
    assert total is not None, newest.name
    return int(total[1])


def without_checks(value: Any) -> Any:
    """Return the same without health checks, at any depth."""
    if isinstance(value, dict):
        return {key: without_checks(item) for key, item in value.items() if key != "health_checks"}
    return [without_checks(item) for item in value] if isinstance(value, list) else value
