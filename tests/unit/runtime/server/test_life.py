"""Starting, draining and stopping real server processes."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from tests.servers import (
    Server,
    free_ports,
    health,
    infer_request,
    launch,
    start_servers,
    write_model,
)
from trihull_runtime.server.command import command

ROW = [0.5] * 64
INFER = "/v2/models/digits/infer"


def slow_request(steps: int) -> dict[str, Any]:
    return {"inputs": [{"name": "steps", "shape": [1], "datatype": "INT64", "data": [steps]}]}


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def steps_for(url: str, seconds: float) -> int:
    """Return how many steps of the slow model take about `seconds` here."""
    with httpx.Client(base_url=url, timeout=60) as client:
        start = time.perf_counter()
        client.post("/v2/models/slow/infer", json=slow_request(200_000)).raise_for_status()
        return int(200_000 * seconds / (time.perf_counter() - start))


def refused(environment: dict[str, str], log: Path) -> tuple[int, str]:
    """Start a server that cannot start; return its exit code and what it said."""
    ports = free_ports(2)
    process = launch(
        {
            "TRIHULL_HOST": "127.0.0.1",
            "TRIHULL_PORT_INFER": str(ports[0]),
            "TRIHULL_PORT_HEALTH": str(ports[1]),
            **environment,
        },
        log,
    )
    try:
        code = process.wait(30)
    finally:
        process.kill()
        process.wait()
    return code, log.read_text()


def test_a_drain_says_not_ready_serves_on_and_loses_nothing(models: Path) -> None:
    """Clients that look at readiness, as routers do, move from the draining server to the other one."""
    with start_servers(models, 2, settings={"TRIHULL_DRAIN_GRACE_S": "2"}) as (first, second):
        stop = threading.Event()
        statuses: list[int] = []
        closes: list[str] = []

        def work() -> None:
            with httpx.Client(timeout=20) as client:
                while not stop.is_set():
                    url = first.url if health(first.health_url) == 200 else second.url
                    answer = client.post(url + INFER, json=infer_request([ROW]))
                    statuses.append(answer.status_code)
                    closes.append(answer.headers.get("connection", ""))

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            workers = [pool.submit(work) for _ in range(4)]
            wait_until(lambda: len(statuses) > 50)
            first.process.send_signal(signal.SIGTERM)
            wait_until(lambda: health(first.health_url) == 503)
            with httpx.Client(base_url=first.url) as late:  # the router has not noticed yet: served, then sent away
                assert late.get("/v2/health/ready").status_code == 503
                assert late.get("/v2/health/live").status_code == 200
                answer = late.post(INFER, json=infer_request([ROW]))
                assert answer.status_code == 200
                assert answer.headers["connection"] == "close"
            assert first.process.wait(30) == 0
            moved = len(statuses)
            wait_until(lambda: len(statuses) > moved + 50)
            stop.set()
            for worker in workers:
                worker.result()
        assert set(statuses) == {200}


def test_a_request_in_flight_is_finished_before_the_end(models: Path) -> None:
    with start_servers(models, settings={"TRIHULL_DRAIN_GRACE_S": "0", "TRIHULL_INLINE_MS": "0"}) as (server,):
        steps = steps_for(server.url, 2.0)
        with concurrent.futures.ThreadPoolExecutor(1) as pool, httpx.Client(base_url=server.url, timeout=60) as client:
            running = pool.submit(client.post, "/v2/models/slow/infer", json=slow_request(steps))
            wait_until(lambda: "trihull_inference_in_flight 1.0" in metrics(server))
            server.process.send_signal(signal.SIGTERM)
            assert running.result().status_code == 200
        assert server.process.wait(30) == 0


def test_the_drains_bound_cuts_what_takes_longer(models: Path) -> None:
    settings = {"TRIHULL_DRAIN_S": "1", "TRIHULL_DRAIN_GRACE_S": "0", "TRIHULL_MAX_BODY_BYTES": "1000"}
    with start_servers(models, settings=settings) as (server,):
        port = int(server.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as stuck:
            stuck.sendall(b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
            wait_until(lambda: "trihull_inference_in_flight 1.0" in metrics(server))
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(30) == 0
        assert "1 requests are cut off" in server.log.read_text()


def test_a_second_signal_stops_at_once(models: Path) -> None:
    with start_servers(models, settings={"TRIHULL_DRAIN_S": "600", "TRIHULL_DRAIN_GRACE_S": "300"}) as (server,):
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: health(server.health_url) == 503)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 128 + signal.SIGTERM


def test_while_a_long_inference_runs_health_is_answered_and_more_than_the_limit_refused(models: Path) -> None:
    with start_servers(models, settings={"TRIHULL_INLINE_MS": "0", "TRIHULL_MAX_IN_FLIGHT": "1"}) as (server,):
        steps = steps_for(server.url, 3.0)
        with concurrent.futures.ThreadPoolExecutor(1) as pool, httpx.Client(base_url=server.url, timeout=60) as client:
            running = pool.submit(client.post, "/v2/models/slow/infer", json=slow_request(steps))
            wait_until(lambda: "trihull_inference_in_flight 1.0" in metrics(server))
            assert health(server.health_url) == 200
            assert health(server.url) == 200
            refusal = httpx.post(server.url + INFER, json=infer_request([ROW]))
            assert not running.done()
            assert refusal.status_code == 503
            assert refusal.headers["retry-after"] == "1"
            assert refusal.json() == {"error": "more than 1 requests are in flight"}
            assert running.result().status_code == 200
            assert 'trihull_inference_rejected_total{reason="overloaded"} 1.0' in metrics(server)
            assert client.post(INFER, json=infer_request([ROW])).status_code == 200


@pytest.mark.parametrize("variable", ["TRIHULL_PORT_INFER", "TRIHULL_PORT_HEALTH"])
def test_an_occupied_port_is_named_with_the_variable_that_changes_it(
    models: Path, tmp_path: Path, variable: str
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, said = refused({"TRIHULL_MODELS": str(models), variable: str(port)}, tmp_path / "log")
    assert code == 69
    assert said.strip() == (
        f"trihull: cannot listen on 127.0.0.1:{port}: Address already in use; choose another port with {variable}"
    )


def test_an_address_that_is_not_ours_is_named(models: Path, tmp_path: Path) -> None:
    code, said = refused({"TRIHULL_MODELS": str(models), "TRIHULL_HOST": "192.0.2.1"}, tmp_path / "log")
    assert code == 69
    assert "192.0.2.1" in said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRIHULL_PORT_INFER", "http"),
        ("TRIHULL_PORT_HEALTH", "70000"),
        ("TRIHULL_DRAIN_S", "nan"),
        ("TRIHULL_DRAIN_S", "-1"),
        ("TRIHULL_MAX_IN_FLIGHT", "0"),
        ("TRIHULL_MAX_BODY_BYTES", "1.5"),
    ],
)
def test_a_wrong_setting_is_named(models: Path, tmp_path: Path, variable: str, value: str) -> None:
    code, said = refused({"TRIHULL_MODELS": str(models), variable: value}, tmp_path / "log")
    assert code == 64
    assert said.startswith(f"trihull: {variable} is '{value}'; expected")


def damage_model_file(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[-1] ^= 1
    (folder / "model.onnx").write_bytes(data)


def remove_model_file(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def damage_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_model_file, "model.onnx: is not the file that manifest.json names"),
        (remove_model_file, "model.onnx: cannot be read: No such file or directory; the model folder is incomplete"),
        (damage_manifest, "manifest.json: is not valid JSON"),
        (remove_manifest, "holds no model"),
    ],
)
def test_a_model_that_is_not_what_it_says_is_refused(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    write_model(tmp_path / "models")
    damage(tmp_path / "models" / "digits")
    code, said = refused({"TRIHULL_MODELS": str(tmp_path / "models")}, tmp_path / "log")
    assert code == 65
    assert reason in said
    assert "Traceback" not in said


def test_a_missing_models_folder_and_missing_tls_files_are_named(models: Path, tmp_path: Path) -> None:
    code, said = refused({"TRIHULL_MODELS": str(tmp_path / "none")}, tmp_path / "log")
    assert code == 65
    assert f"{tmp_path / 'none'}: cannot be read as a folder of models" in said
    code, said = refused({"TRIHULL_MODELS": str(models), "TRIHULL_TLS": str(tmp_path)}, tmp_path / "log2")
    assert code == 65
    assert f"{tmp_path / 'tls.crt'}: cannot be read: No such file or directory" in said


def test_two_folders_of_one_model_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "models")
    (tmp_path / "models" / "digits").rename(tmp_path / "models" / "other")
    write_model(tmp_path / "models")
    code, said = refused({"TRIHULL_MODELS": str(tmp_path / "models")}, tmp_path / "log")
    assert code == 65
    assert "holds model 'digits', which another folder holds too" in said


def test_trihull_serve_passes_its_options_on_and_fails_as_the_container_does(tmp_path: Path) -> None:
    write_model(tmp_path / "models")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        result = CliRunner().invoke(command, [str(tmp_path / "models"), "--port", port])
    assert "choose another port" in str(result.exception)
    help_text = CliRunner().invoke(command, ["--help"]).output
    for option in ("--port", "--health-port", "--tls", "--drain"):
        assert option in help_text


def test_the_server_imports_neither_pulumi_nor_the_command_line() -> None:
    code = (
        "import sys, trihull_runtime.server.process\n"
        "print([name for name in ('pulumi', 'click', 'rich', 'pydantic', 'grpc') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() in ("[]", "['click']")  # uvicorn's own package imports click


def metrics(server: Server) -> str:
    return httpx.get(f"{server.health_url}/metrics", timeout=10).text
