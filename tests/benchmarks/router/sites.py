"""Three sites, and what befalls one of them."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.failover.standin import ACCEPTED
from tests.servers import free_ports

FULL_AFTER_S: Final = 0.1  # a connection on loopback that takes longer will never be: the queue is full


class Site:
    """The process of one site."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.router.upstream", f"{port}", ACCEPTED],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self._filling: list[socket.socket] = []

    def wait(self, word: str) -> None:
        """Wait until the process says so."""
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        assert said == word, f"site {self.name} said {said!r} in place of {word!r}"

    def tell(self, mode: str) -> None:
        """Give it a mode, and wait until it has it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{mode}\n")
        self.wait(mode)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it: the kernel still takes connections for it, until the queue is full."""
        self._process.send_signal(signal.SIGSTOP)

    def blackhole(self) -> None:
        """Stop it and fill its queue: the kernel drops what asks for a connection, as a network that swallows packets
        does; connections that are open stay silent. It needs neither root nor a packet filter.
        """
        self.freeze()
        while True:
            each = socket.socket()
            self._filling.append(each)
            each.settimeout(FULL_AFTER_S)
            try:
                each.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return

    def close(self) -> None:
        """End it and whatever was opened to it."""
        self.kill()
        for each in self._filling:
            each.close()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


FAULTS: Final[Mapping[str, Callable[[Site], None]]] = {
    "killed": Site.kill,
    "5xx": lambda site: site.tell("503"),
    "reset": lambda site: site.tell("reset"),
    "refused": lambda site: site.tell("refused"),
    "frozen": Site.freeze,
    "blackholed": Site.blackhole,
}


@contextlib.contextmanager
def three() -> Iterator[list[Site]]:
    """Run three sites until the block ends."""
    with contextlib.ExitStack() as stack:
        sites = []
        for name, port in zip(("aws", "gcp", "azure"), free_ports(3), strict=True):
            sites.append(Site(name, port))
            stack.callback(sites[-1].close)
        for site in sites:
            site.wait("up")
        yield sites
