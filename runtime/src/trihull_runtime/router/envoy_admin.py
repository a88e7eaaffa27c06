"""Talks to a running Envoy over its admin socket. Blocking calls with a time limit: the control loop uses threads."""

import http.client
import json
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from trihull_runtime.router.errors import EnvoyError


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("envoy", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class EnvoyAdmin:
    """Envoy's admin interface at a Unix socket."""

    def __init__(self, path: Path, timeout_s: float = 3.0) -> None:
        self.path = path
        self._timeout_s = timeout_s

    def call(self, method: str, target: str) -> tuple[int, bytes]:
        """Make one request; returns status and body. Raises EnvoyError when nobody answers."""
        connection = _Connection(self.path, self._timeout_s)
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise EnvoyError(f"Envoy does not answer at {self.path}: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()

    def json(self, target: str) -> Any:
        """Get a JSON page."""
        status, body = self.call("GET", target)
        try:
            if status != http.HTTPStatus.OK:
                raise ValueError(f"status {status}")
            return json.loads(body)
        except ValueError as error:
            raise EnvoyError(f"Envoy's admin page {target} is not what was expected: {error}") from error

    def ready(self) -> bool:
        """Whether Envoy is up and has its first configuration."""
        try:
            return self.call("GET", "/ready")[0] == http.HTTPStatus.OK
        except EnvoyError:
            return False

    def stats(self, pattern: str) -> dict[str, int | str]:
        """Return counters, gauges and texts whose name matches the regular expression (RE2)."""
        page = self.json(f"/stats?format=json&filter={pattern}")
        return {entry["name"]: entry["value"] for entry in page["stats"] if "name" in entry}

    def order(self, key: str, value: int) -> None:
        """Set a value of Envoy's runtime. Raises EnvoyError when it is not taken."""
        status, body = self.call("POST", f"/runtime_modify?{key}={value}")
        if status != http.HTTPStatus.OK:
            raise EnvoyError(f"Envoy does not take {key}={value}: {body.decode(errors='replace').strip()}")

    def bootstrap_digest(self) -> str | None:
        """Return the digest of the bootstrap that this Envoy was started with, None if it is not one of ours."""
        node = self.json("/server_info").get("node", {})
        digest = node.get("metadata", {}).get("bootstrap")
        return digest if isinstance(digest, str) else None

    def pid(self) -> int | None:
        """Return who listens at the socket, from the kernel (not from a file that may be out of date)."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(self._timeout_s)
            try:
                client.connect(str(self.path))
                if sys.platform == "darwin":
                    level, local_peerpid = 0, 2  # SOL_LOCAL, LOCAL_PEERPID of <sys/un.h>
                    return int(struct.unpack("i", client.getsockopt(level, local_peerpid, 4))[0])
                credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                return int(struct.unpack("3i", credentials)[0])
            except OSError:
                return None
