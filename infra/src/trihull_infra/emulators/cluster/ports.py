"""Ports on 127.0.0.1, handed out so that they can be kept: below the kernel's own range for outgoing connections.

A port from that range (what binding to 0 gives) may, while its owner is away for a moment, become the near end of
somebody's outgoing connection; a Service's port must survive a restart of the daemon.
"""

import random
import socket
import sys
from pathlib import Path

from trihull_infra.emulators.cluster.errors import ClusterError

HOST = "127.0.0.1"
FIRST, LAST = 15000, 32000
ATTEMPTS = 200
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")

_choice = random.SystemRandom()


def is_free(port: int, *, fresh: bool = False) -> bool:
    """Tell whether a server could listen on this port now.

    Args:
        port: the port on 127.0.0.1.
        fresh: also refuse a port that is only held (see `hold`) or whose last connections have just ended.
    """
    with socket.socket() as probe:
        if not fresh:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def find(taken: set[int]) -> int:
    """Return a free port that is not in `taken`.

    Raises:
        ClusterError: none was found.
    """
    last = LAST
    if EPHEMERAL.exists():
        last = max(FIRST + 1000, min(LAST, int(EPHEMERAL.read_text().split()[0]) - 1))
    for _ in range(ATTEMPTS):
        port = _choice.randrange(FIRST, last)
        if port not in taken and is_free(port, fresh=True):
            return port
    raise ClusterError(f"No free port was found on {HOST} between {FIRST} and {last}.")


def hold(port: int) -> socket.socket | None:
    """Keep a port from others without listening on it: connections are refused, our own forwarder can still listen.

    Returns:
        The socket that holds it until closed; None where the system cannot do this (two sockets may share a port as
        long as neither listens: Linux).

    Raises:
        OSError: somebody else has it.
    """
    if sys.platform != "linux":
        return None
    holder = socket.socket()
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, port))
    except OSError:
        holder.close()
        raise
    return holder
