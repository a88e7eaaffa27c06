"""The forwarder as a process of its own, with servers of the test behind it."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_ports
from trihull_infra.emulators.cluster import forwarder, ports

PATH = Path(forwarder.__file__)


class Process:
    """A running forwarder."""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PATH)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.number = 0

    def apply(self, routes: dict[int, list[int]]) -> dict[str, Any]:
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.number += 1
        print(json.dumps({"id": self.number, "routes": routes}), file=self.popen.stdin, flush=True)
        answer = json.loads(self.popen.stdout.readline())
        assert answer["id"] == self.number
        errors: dict[str, Any] = answer["errors"]
        return errors

    def close(self) -> None:
        with self.popen:
            assert self.popen.stdin is not None
            self.popen.stdin.close()
            assert self.popen.wait(20) == 0


@pytest.fixture
def process() -> Iterator[Process]:
    made = Process()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def port() -> int:
    return ports.find(set())


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Returns a function that serves each connection by a handler in a thread, and returns the port."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(handler: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    handler(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        threads.append(thread)
        number: int = listener.getsockname()[1]
        return number

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join()


def _named(name: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(name)


def _ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.settimeout(20)
        return _rest(client)


def _rest(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


Serve = Callable[[Callable[[socket.socket], None]], int]


def test_connections_go_to_the_targets_in_turn(process: Process, serve: Serve, port: int) -> None:
    one, two = serve(_named(b"one")), serve(_named(b"two"))
    assert process.apply({port: [one, two]}) == {}
    assert [_ask(port) for _ in range(4)] == [b"one", b"two", b"one", b"two"]


def test_a_target_that_refuses_is_passed_over(process: Process, serve: Serve, port: int) -> None:
    process.apply({port: [ports.find({port}), serve(_named(b"two"))]})
    assert [_ask(port) for _ in range(3)] == [b"two"] * 3


def test_when_every_target_refuses_the_connection_is_reset(process: Process, port: int) -> None:
    process.apply({port: [ports.find({port})]})
    with pytest.raises(ConnectionResetError):
        _ask(port)


def test_a_port_without_targets_refuses_and_works_again_with_one(process: Process, serve: Serve, port: int) -> None:
    target = serve(_named(b"one"))
    process.apply({port: [target]})
    assert _ask(port) == b"one"
    process.apply({port: []})
    with pytest.raises(ConnectionRefusedError):
        _ask(port)
    process.apply({port: [target]})
    assert _ask(port) == b"one"
    process.apply({})
    with pytest.raises(ConnectionRefusedError):
        _ask(port)


def test_a_side_that_ended_still_receives(process: Process, serve: Serve, port: int) -> None:
    process.apply({port: [serve(lambda connection: connection.sendall(_rest(connection)[::-1]))]})
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.settimeout(20)
        client.sendall(b"abc")
        client.shutdown(socket.SHUT_WR)
        assert _rest(client) == b"cba"


def test_large_bodies_pass_unchanged_while_the_receiver_is_slow(process: Process, serve: Serve, port: int) -> None:
    body = bytes(range(256)) * 80_000  # 20 MB, far more than is ever buffered
    process.apply({port: [serve(lambda connection: connection.sendall(_rest(connection)))]})
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.settimeout(30)

        def send() -> None:
            client.sendall(body)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            assert _rest(client) == body
        finally:
            sender.join()


def test_what_is_not_taken_is_not_read_without_end(process: Process, serve: Serve, port: int) -> None:
    asked = threading.Event()

    def never_reads(connection: socket.socket) -> None:
        asked.wait(30)

    process.apply({port: [serve(never_reads)]})
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.settimeout(1)
            with pytest.raises(TimeoutError):
                client.sendall(bytes(200_000_000))
    finally:
        asked.set()


def test_existing_connections_stay_when_their_target_is_taken_out(process: Process, serve: Serve, port: int) -> None:
    go = threading.Event()

    def slow(connection: socket.socket) -> None:
        connection.sendall(b"first ")
        go.wait(30)
        connection.sendall(b"second")

    process.apply({port: [serve(slow)]})
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.settimeout(20)
            assert client.recv(100) == b"first "
            process.apply({port: [serve(_named(b"new"))]})
            assert _ask(port) == b"new"
            go.set()
            assert _rest(client) == b"second"
    finally:
        go.set()


def test_a_port_that_is_taken_is_told(process: Process, serve: Serve) -> None:
    taken = serve(_named(b"other"))
    assert list(process.apply({taken: [taken]})) == [str(taken)]


def test_neither_side_waits_for_an_acknowledgement_before_its_next_write(monkeypatch: pytest.MonkeyPatch) -> None:
    without_delay: list[int] = []
    made = forwarder.Half.connection_made

    def observe(self: forwarder.Half, transport: asyncio.BaseTransport) -> None:
        made(self, transport)
        raw = transport.get_extra_info("socket")
        without_delay.append(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async def ask(entry: int) -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(1))
            writer.close()

        target = await asyncio.start_server(answer, "127.0.0.1", 0)
        under_test = forwarder.Forwarder()
        assert await under_test.apply({str(entry): [target.sockets[0].getsockname()[1]]}) == {}
        reader, writer = await asyncio.open_connection("127.0.0.1", entry)
        writer.write(b"x")
        answered = await reader.read()
        writer.close()
        await writer.wait_closed()
        await under_test.apply({})
        target.close()
        await target.wait_closed()
        return answered

    monkeypatch.setattr(forwarder.Half, "connection_made", observe)
    (entry,) = free_ports(1)
    assert asyncio.run(ask(entry)) == b"x"
    assert without_delay == [1, 1]
