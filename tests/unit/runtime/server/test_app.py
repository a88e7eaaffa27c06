"""The HTTP layer alone, called as ASGI: what no well-built client can bring about over a socket at will."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trihull_runtime.server import app as app_module
from trihull_runtime.server.app import InferApp, State
from trihull_runtime.server.dataplane import DataPlane
from trihull_runtime.server.metrics import Metrics
from trihull_runtime.server.model import load_model


@pytest.fixture
def app(models: Path) -> Iterator[InferApp]:
    state = State()
    state.loaded = True
    data = DataPlane([load_model(models / "digits")], inline_s=1.0)
    yield InferApp(state, data, Metrics(), max_in_flight=4, max_body_bytes=1000)
    data.close()


def call(app: InferApp, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Send one inference request whose body arrives as `messages`; afterwards nothing arrives any more."""
    sent: list[dict[str, Any]] = []
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v2/models/digits/infer", "headers": []}
    asyncio.run(app(scope, receive, send))
    return sent


def body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def error_of(sent: list[dict[str, Any]]) -> str:
    return str(json.loads(sent[1]["body"])["error"])


def test_a_bug_gives_an_answer_in_json_and_a_traceback_in_the_log(
    app: InferApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(app.data, "infer", broken)
    sent = call(app, body(b"{}"))
    assert sent[0]["status"] == 500
    assert error_of(sent) == "the server has a bug; its log tells more"
    assert "ZeroDivisionError: a bug" in caplog.text
    assert b"trihull_inference_in_flight 0.0" in app.metrics.text()


def test_a_body_that_never_comes_is_408_and_the_connection_is_closed(
    app: InferApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "BODY_TIMEOUT_S", 0.01)
    sent = call(app, body(b"{", more=True))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_body_of_parts_that_are_small_each_is_413_as_soon_as_they_are_too_much_together(app: InferApp) -> None:
    sent = call(app, *[body(b"[" * 400, more=True)] * 3)
    assert sent[0]["status"] == 413
    assert "larger than 1000 bytes" in error_of(sent)
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_client_that_has_gone_gets_nothing(app: InferApp) -> None:
    assert call(app, body(b"{", more=True), {"type": "http.disconnect"}) == []
    assert b"trihull_inference_in_flight 0.0" in app.metrics.text()


def test_a_message_does_not_repeat_a_name_as_long_as_a_body(app: InferApp) -> None:
    name = "x" * 900
    app.max_body_bytes = 100_000
    request = {"inputs": [{"name": name * 10, "shape": [1], "datatype": "FP32", "data": [1]}]}
    sent = call(app, body(json.dumps(request).encode()))
    assert sent[0]["status"] == 400
    assert len(error_of(sent)) == app_module.ERROR_LIMIT


def test_what_the_port_holds_counts_against_the_limit(app: InferApp) -> None:
    app.pending = lambda: 4
    assert call(app, body(b"{}"))[0]["status"] == 400
    app.pending = lambda: 5
    sent = call(app, body(b"{}"))
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]


def test_a_draining_server_answers_and_asks_the_client_to_go(app: InferApp) -> None:
    app.state.draining = True
    sent = call(app, body(b"{}"))
    assert sent[0]["status"] == 400
    assert (b"connection", b"close") in sent[0]["headers"]
