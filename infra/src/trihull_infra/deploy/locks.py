"""Whose lock a stack's state has. Only our own stale one is ever broken: `pulumi cancel` itself checks nothing."""

import os
import re
import socket
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

# What the engine says of each lock of a state in a folder or bucket (pkg/backend/diy, lockErr).
_HOLDER = re.compile(r"(?P<url>\S+): created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)")
# Names that many machines have: the same name is no proof of the same machine.
_COMMON_HOSTS = frozenset({"", "localhost", "localhost.localdomain"})


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, since when (RFC 3339), and where it lies (a URL)."""

    user: str
    host: str
    pid: int
    since: str
    url: str = ""

    def __str__(self) -> str:
        """Return how a message names it."""
        return f"{self.user}@{self.host} (process {self.pid}) since {self.since}"


def holders(message: str) -> tuple[Holder, ...]:
    """Read the holders from the engine's message; empty when it names none."""
    return tuple(
        Holder(match["user"], match["host"], int(match["pid"]), match["since"], match["url"])
        for match in _HOLDER.finditer(message)
    )


def stale(holder: Holder, local_state: bool) -> bool:
    """Tell whether a lock is certainly nobody's: its process was on this machine and is no more.

    Args:
        holder: from `holders`.
        local_state: whether the state lies in a folder of this machine, so that its host name needs no proof.
    """
    here = socket.gethostname()
    if holder.host != here or (here in _COMMON_HOSTS and not local_state):
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives and is somebody else's
        return False
    return False


def remove(holder: Holder) -> bool:
    """Remove a stale lock that lies in a folder of this machine; returns whether it does.

    For the lock of a stack that was never made: `pulumi cancel` knows no such stack.
    """
    parts = urllib.parse.urlsplit(holder.url)
    if parts.scheme != "file":
        return False
    path = Path(urllib.parse.unquote(parts.path))
    for file in (path, path.with_name(f"{path.name}.attrs")):
        file.unlink(missing_ok=True)
    return True


def advice(stack: str, folder: str, found: tuple[Holder, ...]) -> str:
    """Return the message for a lock that is not ours to break."""
    who = "; ".join(str(holder) for holder in found) or "somebody"
    return (
        f"the state of {stack} is locked by {who}. Wait until that has ended; if you are sure that it has, run "
        f"`pulumi cancel --stack {stack}` in {folder} and try again"
    )
