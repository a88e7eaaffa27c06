"""A V2 client as thin as can be: one keep-alive connection of the standard library. It repeats nothing by itself,

because whoever uses it wants to see what was lost.
"""

import contextlib
import http.client
import json
import math
import ssl
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from trihull_runtime.errors import InputError, LostError, UnavailableError, UsageError

SITE_HEADER: Final = "x-trihull-site"


class RequestLostError(LostError):
    """One request got no answer, or none that counts; the next may."""


@dataclass(frozen=True)
class Tensor:
    """One output of an answer, flat."""

    shape: tuple[int, ...]
    data: tuple[Any, ...]


@dataclass(frozen=True)
class Answer:
    """The outputs by name, and the site that a router says has answered; None when nobody says it."""

    outputs: Mapping[str, Tensor]
    site: str | None


class Client:
    """One connection to a V2 endpoint, opened again for the next request when it broke.

    Raises (all methods): UnavailableError when nothing listens or TLS fails, InputError when the endpoint refuses what
    was asked (4xx), RequestLostError when a request was lost (connection broke, time-out, 5xx, unreadable answer).
    """

    def __init__(
        self, url: str, context: ssl.SSLContext | None = None, timeout_s: float = 30.0, server_name: str | None = None
    ) -> None:
        """Check the address; raises `UsageError`. No connection yet.

        Args:
            url: of the endpoint.
            context: of TLS; None for the system's authorities.
            timeout_s: of each step of a request.
            server_name: what the endpoint's certificate must carry, and what is sent as SNI; None for the host.
        """
        self.url = url.rstrip("/")
        try:
            parts = urllib.parse.urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(f"{url!r} is no address: {error}") from error
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise UsageError(f"{url!r} is no address; expected http://HOST:PORT or https://HOST:PORT")
        self._prefix = parts.path
        if parts.scheme == "https":
            context = context or ssl.create_default_context()
            self._connection: http.client.HTTPConnection = _TlsConnection(
                host, port, timeout_s, context, server_name or host
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._connection.close()

    def metadata(self, model: str) -> dict[str, Any]:
        """Return what the endpoint says of a model."""
        value, _ = self._call("GET", f"/v2/models/{urllib.parse.quote(model, safe='')}", None)
        if not isinstance(value.get("inputs"), list) or not value["inputs"] or not isinstance(value.get("name"), str):
            raise RequestLostError(f"{self.url}: the metadata of {model!r} names no inputs; is this a V2 server?")
        return value

    def infer(self, model: str, input_name: str, rows: Sequence[Sequence[float]]) -> Answer:
        """Send rows as one FP32 input `[rows, width]` and return the answer."""
        data = [value for row in rows for value in row]
        tensor = {"name": input_name, "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": data}
        body = json.dumps({"inputs": [tensor]}).encode()
        value, site = self._call("POST", f"/v2/models/{urllib.parse.quote(model, safe='')}/infer", body)
        return Answer(parse_outputs(self.url, value), site)

    def _call(self, method: str, path: str, body: bytes | None) -> tuple[dict[str, Any], str | None]:
        """Return the answer's JSON object, and the site that the answer names."""
        headers = {"content-type": "application/json"} if body is not None else {}
        if self._connection.sock is None:
            try:
                self._connection.connect()
            except ssl.SSLError as error:
                raise UnavailableError(
                    f"{self.url}: no TLS connection: {error.reason or error}; see --ca, --cert and --key"
                ) from error
            except OSError as error:
                raise UnavailableError(
                    f"{self.url}: cannot be reached: {error.strerror or error}; is it up?"
                ) from error
        try:
            self._connection.request(method, self._prefix + path, body, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            # A client certificate is refused only after the handshake in TLS 1.3: the first read says so.
            why = str(error) or type(error).__name__
            raise RequestLostError(f"{self.url}: the request was lost: {why}") from error
        if answer.status != 200:
            message = f"{self.url}: {method} {path}: status {answer.status}: {_error_text(content)}"
            raise InputError(message) if 400 <= answer.status < 500 else RequestLostError(message)
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RequestLostError(f"{self.url}: the answer is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise RequestLostError(f"{self.url}: the answer is not a JSON object; is this a V2 server?")
        return value, answer.headers.get(SITE_HEADER)


class _TlsConnection(http.client.HTTPSConnection):
    """A TLS connection whose certificate is of another name than the address: an IP address, or a load balancer."""

    def __init__(self, host: str, port: int | None, timeout_s: float, context: ssl.SSLContext, server_name: str):
        super().__init__(host, port, timeout=timeout_s, context=context)
        self._tls, self._server_name = context, server_name

    def connect(self) -> None:
        """Connect, and show the server's name in TLS."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server_name)


def parse_outputs(url: str, value: Mapping[str, Any]) -> dict[str, Tensor]:
    """Read the outputs of an answer; raises `RequestLostError` when they are not what the protocol says."""
    outputs = {}
    try:
        for output in value["outputs"]:
            shape, data = tuple(output["shape"]), tuple(output["data"])
            if math.prod(shape) != len(data):
                raise RequestLostError(f"{url}: output {output['name']!r} has {len(data)} values for shape {shape}")
            outputs[str(output["name"])] = Tensor(shape, data)
    except (KeyError, TypeError) as error:
        raise RequestLostError(f"{url}: the answer holds no V2 outputs: {error!r}") from error
    return outputs


def client_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return a TLS context from PEM files, or None when none is given.

    Raises:
        UsageError: a certificate without its key, or the other way round.
        InputError: a file cannot be used.
    """
    if (certificate is None) != (key is None):
        raise UsageError("--cert and --key belong together: give both or neither")
    if ca is None and certificate is None:
        return None
    with _naming(ca, "CA certificates"):
        context = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        with _naming(certificate, "a certificate and its key"):
            context.load_cert_chain(certificate, key)
    return context


@contextlib.contextmanager
def _naming(path: Path | None, what: str) -> Any:
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or error
        raise InputError(f"{path}: cannot be used as {what}: {reason}") from error


def _error_text(content: bytes) -> str:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and isinstance(value.get("error"), str):
        return str(value["error"])[:500]
    return content[:200].decode("utf-8", "replace").strip() or "no reason given"
