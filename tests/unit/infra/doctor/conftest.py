"""Environments that need something of every cloud, and a local server that speaks what Google's and Azure's APIs do."""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from trihull_infra.cloud import Cloud
from trihull_infra.doctor.findings import Finding, Status
from trihull_infra.doctor.seam import Asked
from trihull_infra.environment import Environment, load

REPOSITORY = Path(__file__).parents[4]
WRITTEN = REPOSITORY / "tests/parity/environments/longestname1.yaml"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of whoever runs the tests, and no home of theirs."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "KUBECONFIG", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # google-auth: whether this is a machine of Google's is not looked for


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Four clouds, guarded, half of it spot, with accelerators."""
    folder = tmp_path / "stacks/environments"
    folder.mkdir(parents=True)
    (folder / "longestname1.yaml").write_text(WRITTEN.read_text())
    return load("longestname1", folder)


@pytest.fixture
def asked(environment: Environment, tmp_path: Path) -> "Asking":
    return Asking(environment, tmp_path / "stacks/environments")


@dataclass(frozen=True)
class Asking:
    environment: Environment
    folder: Path

    def __call__(self, cloud: Cloud, **changes: Any) -> Asked:
        """The environment as it is, or with other values at its top level."""
        if not changes:
            return Asked(self.environment, cloud, self.folder)
        value = yaml.safe_load(WRITTEN.read_text()) | changes
        (self.folder / "longestname1.yaml").write_text(yaml.safe_dump(value))
        return Asked(load("longestname1", self.folder), cloud, self.folder)


@dataclass
class Api:
    """A server that answers what it is told to: path -> status and document; what is not there is 404."""

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], Mapping[str, str], Any]] = field(default_factory=list)

    def gives(self, path: str, document: Any, status: int = 200) -> None:
        self.answers[path] = (status, document)


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            sent = json.loads(body) if size and "json" in self.headers.get("Content-Type", "") else body.decode()
            found.requests.append((self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), sent))
            missing = (404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "not found"}})
            status, document = found.answers.get(parts.path, missing)
            text = document if isinstance(document, str) else json.dumps(document)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002
            del format

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def statuses(found: Any) -> list[Status]:
    return [one.status for one in found]


def only(found: Any) -> Finding:
    (one,) = found
    assert isinstance(one, Finding)
    return one
