"""Reserves ports on 127.0.0.1 for tests that run in several processes at once."""

import fcntl
import os
import random
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

HOST = "127.0.0.1"
# Beside what emulated clusters use (15000 to 32000, `emulators/cluster/ports.py`).
CANDIDATES = (*range(10000, 15000), *range(61000, 65536))
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")

_guard = threading.Lock()
_reserved: set[int] = set()
_descriptors: list[int] = []


def free_ports(count: int) -> list[int]:
    """Return ports on 127.0.0.1, all different, that no other call in any process of this machine returns.

    A port belongs to the calling process until it ends, and is never returned twice. The reservation is a lock on the
    port's byte of one file in the temporary folder: a record lock, which the kernel releases with the process however
    it ends, and which a forked child does not inherit. A bound socket would not do: a server that binds without
    SO_REUSEADDR could not use a port that is held so, and two that bind with SO_REUSEPORT (Envoy) share it silently.
    Nobody else takes a reserved port either: it is outside the range from which the kernel serves `bind` to port 0 and
    outgoing connections. A port that is bound, or whose last connections have just ended, is passed over.

    Raises:
        OSError: there are not as many.
    """
    with _guard:
        ports: list[int] = []
        for port in _candidates():
            if len(ports) == count:
                break
            if port not in _reserved and _lock(port):
                _reserved.add(port)
                if _is_unbound(port):
                    ports.append(port)
        if len(ports) < count:
            raise OSError(f"expected {count} free ports on {HOST}, got {len(ports)}: end what holds them")
        return ports


def _candidates() -> Iterator[int]:
    """Yield the candidates in random order: those of the kernel's own range last, for where it is nearly all ports."""
    first, last = (int(text) for text in EPHEMERAL.read_text().split()) if EPHEMERAL.exists() else (49152, 65535)
    for own in (False, True):
        ports = [port for port in CANDIDATES if (first <= port <= last) is own]
        random.SystemRandom().shuffle(ports)
        yield from ports


def _lock(port: int) -> bool:
    """Lock the port's byte; false when another process has it."""
    if not _descriptors:
        path = Path(tempfile.gettempdir()) / "trihull-test-ports"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o666)
            os.fchmod(descriptor, 0o666)  # whatever the umask: other users' tests lock it too
        _descriptors.append(descriptor)  # never closed: closing any descriptor of the file would release every lock
    try:
        fcntl.lockf(_descriptors[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # POSIX allows EAGAIN and EACCES
        return False
    return True


def _is_unbound(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
