"""A process that has imported a module once, and a fork of it for each question: what a fresh interpreter would answer.

    python -m tests.forking MODULE

It prints its port; a connection brings one JSON object and gets one, which the module's `answer` returns. The SDKs of
clouds take seconds to import, and hundreds of questions need a process of their own. Like the product's fork server it
has no thread and no gRPC channel.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parents[1]


class Ask(Protocol):
    """Asks one question in a fork of its own; what `answer` raised there fails the test."""

    def __call__(self, question: Any, timeout_s: float) -> Any: ...


@contextlib.contextmanager
def server(module: str) -> Iterator[Ask]:
    """Start the process; it and all that it started end with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forking", module],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=ROOT, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process, process.stdout as said:
        try:
            port = int(said.readline())

            def ask(question: Any, timeout_s: float) -> Any:
                with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
                    connection.sendall(json.dumps(question).encode())
                    connection.shutdown(socket.SHUT_WR)
                    with connection.makefile("rb") as stream:
                        answer = json.load(stream)
                assert "raised" not in answer, answer["raised"]
                return answer["value"]

            yield ask
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


class _Handler(socketserver.StreamRequestHandler):
    answer: Callable[[Any], Any]

    def handle(self) -> None:
        try:
            found = {"value": type(self).answer(json.load(self.rfile))}
        except BaseException:  # noqa: BLE001 - the boundary of the process: whoever asked must hear of it
            found = {"raised": traceback.format_exc()}
        self.wfile.write(json.dumps(found).encode())


class _Server(socketserver.ForkingMixIn, socketserver.TCPServer):
    max_children = 16
    parent = os.getppid()

    def service_actions(self) -> None:
        """End with whoever started it, who may have been killed: twice a second is looked."""
        super().service_actions()
        if os.getppid() != self.parent:
            os.killpg(0, signal.SIGTERM)


def main() -> None:
    """Serve until SIGTERM."""
    _Handler.answer = staticmethod(importlib.import_module(sys.argv[1]).answer)
    gc.freeze()  # what is there stays; no fork has to look through it, or copy its pages by doing so
    with _Server(("127.0.0.1", 0), _Handler) as listening:
        print(listening.server_address[1], flush=True)
        os.dup2(2, 1)  # what programs print goes where messages go
        listening.serve_forever()


if __name__ == "__main__":
    main()
