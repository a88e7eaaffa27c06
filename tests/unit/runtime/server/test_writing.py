"""A small answer leaves in one piece, so that a server which is stopped in the middle has sent all of it or nothing."""

import asyncio
import json
import socket
import urllib.parse
from pathlib import Path
from typing import cast

from tests.servers import infer_request, make_certificates, start_servers
from trihull_runtime.server.writing import WHOLE_BYTES, WholeWrites


class Transport:
    """Records what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> str:
        return name


def written(*steps: list[bytes], close: bool = False) -> Transport:
    """Return the transport after each step's writes, one step of the loop after the other."""
    transport = Transport()

    async def write() -> None:
        whole = WholeWrites(cast(asyncio.Transport, transport), asyncio.get_running_loop())
        assert whole.get_extra_info("peername") == "peername"
        for step in steps:
            for data in step:
                whole.write(data)
            if close:
                whole.close()
            await asyncio.sleep(0)

    asyncio.run(write())
    return transport


def test_what_one_step_writes_is_one_write() -> None:
    assert written([b"head", b"body"], [b"next"]).written == [b"headbody", b"next"]


def test_much_goes_out_as_it_comes() -> None:
    much = bytes(WHOLE_BYTES)
    assert written([b"head", much, b"rest"]).written == [b"head" + much, b"rest"]


def test_closing_sends_what_is_kept_and_nothing_after_it() -> None:
    transport = written([b"head", b"body"], [b"late"], close=True)
    assert transport.written == [b"headbody"]
    assert transport.closed


def test_over_tls_an_answer_is_one_record(models: Path, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    body = json.dumps(infer_request([[0.5] * 64])).encode()
    head = f"POST /v2/models/digits/infer HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with start_servers(models, tls=certificates) as (server,):
        address = urllib.parse.urlsplit(server.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 20) as plain:
            name = "serving.aws.local.trihull.internal"
            with certificates.client_context().wrap_socket(plain, server_hostname=name) as connection:
                for _ in range(20):
                    connection.sendall(head + body)
                    answer = connection.recv(1 << 16)  # one TLS record at the most
                    _, separator, content = answer.partition(b"\r\n\r\n")
                    assert separator
                    assert json.loads(content)["model_name"] == "digits"
