"""The daemon's HTTP interface on 127.0.0.1, behind a bearer token.

GET  /status                      what runs and what is remembered
GET  /sites                       the sites' clusters and pods
PUT  /sites/{site}/outage         {"kind": "kill" | "freeze", "ttl_s": 60}: a fault with a lease;
                                  with "workload": "trihull-router" of that Deployment only
DELETE /sites/{site}/outage       end it early
POST /plugins/{package}           {"pid": of the shim} -> {"id", "port"}: a provider instance of its own
DELETE /plugins/{id}              drop it
PUT  /delays                      {"create_s": 0.2}: slower operations, for benchmarks
POST /stop                        end the daemon and all it started
"""

import hmac
import http.server
import json
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from trihull_infra.errors import EmulatorError
from trihull_runtime.errors import TrihullError

LOG = logging.getLogger(__name__)
BODY_BYTES: Final = 1 << 20
Route = Callable[[list[str], dict[str, Any]], Any]


class Refused(EmulatorError):  # noqa: N818 - an answer with a status, not a failure of ours
    """A request that is answered with a status of its own."""

    def __init__(self, status: int, message: str) -> None:
        """Answer `status` with `message`."""
        super().__init__(message)
        self.status = status


class Api:
    """An HTTP server whose routes are (method, path pattern) -> function; `*` in a pattern is a variable."""

    def __init__(self, token: str, routes: dict[tuple[str, str], Route]) -> None:
        """Listen on a free port of 127.0.0.1; serve after `start`."""
        handler = type("BoundHandler", (_Handler,), {"token": token, "routes": routes})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="api", daemon=True)
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(http.server.BaseHTTPRequestHandler):
    token: str
    routes: dict[tuple[str, str], Route]
    timeout = 30

    def _serve(self) -> None:
        try:
            status, value = 200, self._dispatch()
        except Refused as error:
            status, value = error.status, {"error": str(error)}
        except TrihullError as error:
            status, value = 409, {"error": str(error)}
        except Exception as error:
            LOG.exception("%s %s failed", self.command, self.path)
            status, value = 500, {"error": f"{type(error).__name__}: {error} (see the daemon's log)"}
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _dispatch(self) -> Any:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            raise Refused(401, "the bearer token is missing or wrong; it stands in daemon.json")
        parts = self.path.strip("/").split("/")
        for (method, pattern), route in self.routes.items():
            expected = pattern.strip("/").split("/")
            if method == self.command and len(expected) == len(parts):
                variables = [part for part, wanted in zip(parts, expected, strict=True) if wanted == "*"]
                if all(wanted in ("*", part) for part, wanted in zip(parts, expected, strict=True)):
                    return route(variables, self._body())
        raise Refused(404, f"{self.command} {self.path} is not served")

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES:
            raise Refused(413, f"the body has {length} bytes; at most {BODY_BYTES} are read")
        if length == 0:
            return {}
        try:
            value = json.loads(self.rfile.read(length))
        except ValueError as error:
            raise Refused(400, f"the body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise Refused(400, "the body must be a JSON object")
        return value

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        LOG.debug("%s %s", self.address_string(), format % args)
