"""What stands between clients and sites: our router, and its peers by the configurations beside this file."""

import contextlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Final

from tests.benchmarks.table import MissingError
from tests.failover.load import eventually
from tests.failover.rig import Router, site
from tests.failover.standin import ACCEPTED
from tests.servers import Certificates, free_ports
from trihull_runtime.contract import Fleet, Policy, Routing
from trihull_runtime.router.binary import find_envoy
from trihull_runtime.router.envoy import Ingress, Layout, render
from trihull_runtime.router.planning import make_plan
from trihull_runtime.router.timings import WAN, Timings

CONFIGURATIONS: Final = Path(__file__).parent / "configurations"
INFER: Final = "/v2/models/digits/infer"
NAMES: Final = ("aws", "gcp", "azure")
FLEET: Final = Fleet(1, "local", {"digits": (ACCEPTED,)}, ())
OURS: Final = "trihull route"
BARE: Final = " bare"
GENERATED: Final = "our configuration without the control process"


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its name with version, where clients reach it, and its first process."""

    name: str
    url: str
    pid: int

    def pause(self) -> None:
        """Stop all its processes, so that it costs nothing while another is measured."""
        for pid in tree(self.pid):
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        for pid in tree(self.pid):
            os.kill(pid, signal.SIGCONT)


def secured(url: str) -> str:
    """Return the same address with TLS."""
    return url.replace("http://", "https://")


def answers(url: str, **headers: str) -> bool:
    """Whether an infer request gets an answer, whoever's certificate it comes with."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"{url}{INFER}", data=b"{}", headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:  # also what urllib raises for other answers
        return False


def tool(name: str) -> str:
    """Return a program's path, also where a user's PATH leaves out the system's programs."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingError(f"{name} is missing; install the Debian package {name} (as root, `make bench-router` does)")
    return found


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads = [entry for entry in Path(f"/proc/{pid}/task").iterdir() if entry.name != f"{pid}"]
    children += [child for entry in threads for child in (entry / "children").read_text().split()]
    return [pid, *(each for child in children for each in tree(int(child)))]


def written(name: str, folder: Path, tls: Certificates | None = None, bare: bool = False, **values: object) -> Path:
    """Write a configuration into a folder, its `@NAME@` replaced; returns its path.

    Lines that begin with `@TLS@` are left out without certificates, those that begin with `@SAME@` of a `bare` one.
    """
    marks = {"@TLS@": tls is not None, "@SAME@": not bare}
    kept = []
    for line in (CONFIGURATIONS / name).read_text(encoding="utf-8").splitlines(keepends=True):
        mark = next((each for each in marks if line.startswith(each)), None)
        if mark is None or marks[mark]:
            kept.append(line.removeprefix(mark or ""))
    text = "".join(kept)
    folders = {} if tls is None else {"server": tls.server, "client": tls.client}
    for key, value in {"folder": folder, **folders, **values}.items():
        text = text.replace(f"@{key.upper()}@", f"{value}")
    assert not (left := re.findall(r"@[A-Z0-9_]+@", text)), f"{name}: {left} have no value"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def in_milliseconds(timings: Timings) -> dict[str, int]:
    """Return what every peer is given, in milliseconds: the same as our router's timings."""
    return {
        "connect_ms": round(1000 * timings.connect_s),
        "try_ms": round(1000 * timings.per_try_s),
        "check_ms": round(1000 * timings.health_timeout_s),
        "every_ms": round(1000 * timings.health_interval_s),
        "edge_ms": round(1000 * timings.health_edge_s),
    }


@contextlib.contextmanager
def ours(
    folder: Path,
    ports: Sequence[int],
    routing: Routing | None = None,
    model: str = "digits",
    tls: Certificates | None = None,
    **environment: str,
) -> Iterator[Proxy]:
    """Run our router over sites on these ports, first choice first, until the block ends.

    With `tls` to clients, and mutual TLS to sites.
    """
    folders = {} if tls is None else {"TRIHULL_TLS": str(tls.client), "TRIHULL_INGRESS_TLS": str(tls.server)}
    router = Router(folder, **{"TRIHULL_ACCESS_LOG": "trouble", **folders, **environment})
    try:
        fleet(ports, routing, tls).write(router.fleet_path)
        router.start()
        assert router.process is not None, "it was started"
        eventually(lambda: router.health(model) == dict.fromkeys(NAMES, "healthy"), "all sites are healthy")
        yield Proxy(OURS, router.url if tls is None else secured(router.url), router.process.pid)
    finally:
        router.close()


@contextlib.contextmanager
def generated(folder: Path, ports: Sequence[int]) -> Iterator[Proxy]:
    """Run the same Envoy with our generated configuration, as static one and without the control process."""
    (port,) = free_ports(1)
    plan = make_plan(fleet(ports), Policy.PRIORITY, {"127.0.0.1": ("127.0.0.1",)})
    layout = Layout(folder / "envoy", folder / "logs", folder / "envoy.sock", None)
    layout.logs.mkdir()
    path = folder / "static.json"
    path.write_text(json.dumps(render(plan, layout, Ingress("127.0.0.1", port), WAN).static))
    command = [str(find_envoy()), "-c", str(path), "-l", "error", "--disable-hot-restart", "--cpuset-threads"]
    with running(GENERATED, command, folder, port) as proxy:
        yield proxy


def fleet(ports: Sequence[int], routing: Routing | None = None, tls: Certificates | None = None) -> Fleet:
    """Return a fleet of sites on these ports, first choice first."""
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    if tls is None:
        sites = [site(name, index, url) for index, (name, url) in enumerate(zip(NAMES, urls, strict=True))]
    else:
        authority = tls.ca.read_text()
        sites = [
            site(name, index, secured(url), "localhost", authority)
            for index, (name, url) in enumerate(zip(NAMES, urls, strict=True))
        ]
    return replace(FLEET, sites=tuple(sites), routing=routing or Routing())


def by_hand(
    folder: Path, ports: Sequence[int], tls: Certificates | None = None, *, bare: bool = False
) -> tuple[Path, int]:
    """Write Envoy's configuration by hand, for sites on these ports; returns its path and the port it listens on."""
    (port,) = free_ports(1)
    sites = {f"site{index}": each for index, each in enumerate(ports)}
    return written("envoy.yaml", folder, tls, bare=bare, port=port, **sites), port


@contextlib.contextmanager
def envoy(
    folder: Path, ports: Sequence[int], tls: Certificates | None = None, *, bare: bool = False
) -> Iterator[Proxy]:
    """Run the same Envoy with the configuration that was written by hand: same listener and log, or `bare`."""
    path, port = by_hand(folder, ports, tls, bare=bare)
    binary = find_envoy()
    command = [str(binary), "-c", str(path), "-l", "warning", "--disable-hot-restart", "--cpuset-threads"]
    version = re.search(
        r"/(\d+\.\d+\.\d+)/", subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    )
    name = f"Envoy {version[1] if version else ''}{BARE if bare else ''}"
    with running(name, command, folder, port, secure=tls is not None) as proxy:
        yield proxy


@contextlib.contextmanager
def nginx(folder: Path, ports: Sequence[int], timings: Timings, *, ordered: bool) -> Iterator[Proxy]:
    """Run nginx."""
    (port,) = free_ports(1)
    lines = [
        f"server 127.0.0.1:{each} max_fails=1 fail_timeout=10s{' backup' if ordered and index else ''};"
        for index, each in enumerate(ports)
    ]
    path = written(
        "nginx.conf", folder, None, False, port=port, servers="\n    ".join(lines), **in_milliseconds(timings)
    )
    command = [tool("nginx"), "-p", str(folder), "-c", str(path), "-g", "daemon off;"]
    with running(f"nginx {version_of('nginx', '-v')}", command, folder, port) as proxy:
        yield proxy


@contextlib.contextmanager
def haproxy(folder: Path, ports: Sequence[int], timings: Timings, *, ordered: bool) -> Iterator[Proxy]:
    """Run HAProxy."""
    (port,) = free_ports(1)
    lines = [
        f"server {name} 127.0.0.1:{each} check{' backup' if ordered and index else ''}"
        for index, (name, each) in enumerate(zip(NAMES, ports, strict=True))
    ]
    path = written(
        "haproxy.cfg", folder, None, False, port=port, servers="\n  ".join(lines), **in_milliseconds(timings)
    )
    with running(
        f"HAProxy {version_of('haproxy', '-v')}", [tool("haproxy"), "-db", "-f", str(path)], folder, port
    ) as proxy:
        yield proxy


@contextlib.contextmanager
def caddy(folder: Path, ports: Sequence[int], timings: Timings, *, ordered: bool) -> Iterator[Proxy]:
    """Run Caddy."""
    (port,) = free_ports(1)
    servers = " ".join(f"127.0.0.1:{each}" for each in ports)
    policy = "first" if ordered else "round_robin"
    path = written(
        "Caddyfile", folder, None, False, port=port, servers=servers, policy=policy, **in_milliseconds(timings)
    )
    command = [tool("caddy"), "run", "--adapter", "caddyfile", "--config", str(path)]
    environment = {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with running(f"Caddy {version_of('caddy', 'version')}", command, folder, port, environment) as proxy:
        yield proxy


def version_of(name: str, *arguments: str) -> str:
    """Return a program's version."""
    done = subprocess.run([tool(name), *arguments], capture_output=True, text=True, check=True)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return found[0] if found else ""


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    folder: Path,
    port: int,
    environment: dict[str, str] | None = None,
    *,
    secure: bool = False,
) -> Iterator[Proxy]:
    """Run a program that listens on a port, from its first good answer until the block ends."""
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
        )
    url = f"http://127.0.0.1:{port}"
    proxy = Proxy(name, secured(url) if secure else url, process.pid)

    def runs_and_answers() -> bool:
        assert process.poll() is None, f"{name} ended: {(folder / 'output.log').read_text()[-2000:]}"
        return answers(proxy.url)

    try:
        eventually(runs_and_answers, f"{name} answers")
        yield proxy
    finally:
        if process.poll() is None:
            proxy.resume()
            process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:  # it waits for connections of clients; its workers end with it
            for pid in reversed(tree(process.pid)):
                os.kill(pid, signal.SIGKILL)
            process.wait()
