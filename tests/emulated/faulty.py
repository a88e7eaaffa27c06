"""A proxy before a registry that counts what is sent and breaks what it is told to break."""

import contextlib
import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CHUNK = 1 << 16
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-authorization"}


@dataclass
class Fault:
    """What to do to requests whose method and path match, `times` times.

    Attributes:
        method: as `PUT`.
        path: a regular expression that the path holds.
        times: how often.
        status: answer with this, and nothing reaches the registry.
        headers: of that answer, or what is put over the registry's own.
        body: instead of the registry's own.
        drop_up: close the connection after so many bytes of the request's body.
        drop_down: close it after so many bytes of the answer's body.
        cut: leave out so many bytes at the end, with a length that fits what is left.
        flip: change the answer's first byte.
    """

    method: str
    path: str
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    drop_up: int | None = None
    drop_down: int | None = None
    cut: int = 0
    flip: bool = False


@dataclass
class Proxy:
    """A running proxy: its `host:port`, the faults, and every request's method, path and body length."""

    host: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    dead: bool = False
    referrers: dict[str, list[dict[str, Any]]] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sent(self, method: str = "", path: str = "") -> int:
        """Return the bytes of all matching requests' bodies."""
        return sum(length for verb, place, length in self.seen if method in ("", verb) and re.search(path, place))

    def count(self, method: str, path: str = "") -> int:
        """Return how many requests there were."""
        return sum(1 for verb, place, _ in self.seen if verb == method and re.search(path, place))

    def take(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


@contextlib.contextmanager
def before(upstream: str) -> Iterator[Proxy]:
    """Run a proxy before `host:port`; it ends with the block."""
    proxy = Proxy("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's own name for it
            pass

        def _any(self) -> None:
            with contextlib.suppress(OSError):  # the client went away, or we closed on it
                _serve(self, proxy, upstream)

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815  # the base calls them so

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    proxy.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _close(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.connection.shutdown(socket.SHUT_RDWR)


def _serve(handler: BaseHTTPRequestHandler, proxy: Proxy, upstream: str) -> None:
    method, path = handler.command, handler.path
    if proxy.dead:
        _close(handler)
        return
    if "Authorization" in handler.headers:
        proxy.authorizations.add(handler.headers["Authorization"])
    fault = proxy.take(method, path)
    length = int(handler.headers.get("Content-Length") or 0)
    assert "chunked" not in handler.headers.get("Transfer-Encoding", ""), "nothing of ours is sent in chunks"
    if fault is not None and fault.status is not None:
        _drain(handler, length)
        proxy.seen.append((method, path, length))
        _answer(handler, fault.status, fault.headers, fault.body or b"")
        return
    if proxy.referrers is not None and "/referrers/" in path:
        found = proxy.referrers.get(path.rpartition("/")[2], [])
        body = json.dumps(
            {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found}
        )
        _answer(handler, 200, {"Content-Type": "application/vnd.oci.image.index.v1+json"}, body.encode())
        return
    connection = http.client.HTTPConnection(upstream, timeout=60)
    try:
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP}
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        done = 0
        while done < length:
            limit = CHUNK if fault is None or fault.drop_up is None else min(CHUNK, fault.drop_up - done)
            chunk = handler.rfile.read(min(limit, length - done)) if limit > 0 else b""
            if not chunk:
                proxy.seen.append((method, path, done))
                _close(handler)
                return
            connection.send(chunk)
            done += len(chunk)
        proxy.seen.append((method, path, length))
        answer = connection.getresponse()
        _pass_on(handler, proxy, path, fault, answer)
    finally:
        connection.close()


def _pass_on(
    handler: BaseHTTPRequestHandler, proxy: Proxy, path: str, fault: Fault | None, answer: http.client.HTTPResponse
) -> None:
    headers = {name: value for name, value in answer.getheaders() if name.lower() not in HOP | {"content-length"}}
    if "Location" in headers:  # the registry's own address, whatever it is called there
        place = urlsplit(headers["Location"])
        headers["Location"] = f"{place.path}?{place.query}" if place.query else place.path
    if proxy.referrers is not None and handler.command == "PUT" and "/manifests/" in path:
        headers["OCI-Subject"] = "sha256:as-if"
    headers |= fault.headers if fault is not None else {}
    if handler.command == "HEAD":
        headers["Content-Length"] = headers.get("Content-Length", answer.headers.get("Content-Length", "0"))
        _answer(handler, answer.status, headers, None)
        return
    body = answer.read() if fault is None or fault.body is None else fault.body
    if fault is not None and fault.flip:
        body = bytes([body[0] ^ 1]) + body[1:]
    if fault is not None and fault.cut:
        body = body[: -fault.cut]
    if fault is not None and fault.drop_down is not None:
        handler.send_response(answer.status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: fault.drop_down])
        handler.wfile.flush()
        _close(handler)
        return
    _answer(handler, answer.status, headers, body)


def _answer(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes | None) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    if body is not None and "Content-Length" not in headers:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if body is not None and handler.command != "HEAD":
        handler.wfile.write(body)


def _drain(handler: BaseHTTPRequestHandler, length: int) -> None:
    while length > 0:
        chunk = handler.rfile.read(min(CHUNK, length))
        if not chunk:
            return
        length -= len(chunk)
