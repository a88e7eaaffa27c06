"""`trihull predict` against real servers and against one that misbehaves on purpose."""

import contextlib
import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import onnxruntime
import pytest

from tests.servers import MODEL_FILES, Server, free_ports, make_certificates, start_servers, write_model
from trihull_runtime.errors import InputError, LostError, TrihullError, UnavailableError, UsageError
from trihull_runtime.predict import command
from trihull_runtime.predict.run import differences
from trihull_runtime.predict.split import labels_equal, read_split

ROWS = np.random.default_rng(5).integers(0, 17, (50, 64)).astype(float).tolist()


@functools.cache
def bare_model() -> tuple[Any, Any]:
    session = onnxruntime.InferenceSession(MODEL_FILES / "linear.onnx", providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(["label", "probabilities"], {"image": np.array(ROWS, np.float32)})
    return labels, probabilities


def split_value(**changes: Any) -> dict[str, Any]:
    labels, probabilities = bare_model()
    return {
        "version": 1,
        "model": "digits",
        "input": "image",
        "rows": ROWS,
        "targets": labels.tolist(),
        "labels": labels.tolist(),
        "probabilities": probabilities.tolist(),
        **changes,
    }


def write_split(folder: Path, value: Any) -> Path:
    path = folder / "test_split.json"
    path.write_text(json.dumps(value))
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder)
    with start_servers(folder) as servers:
        yield servers[0]


def predict(*arguments: object) -> str:
    """Run the command; return its output or raise its error."""
    result = click.testing.CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and isinstance(result.exception, TrihullError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_every_row_is_sent_once_and_equals_the_bare_model(server: Server, tmp_path: Path) -> None:
    path = write_split(tmp_path, split_value())
    facts = json.loads(predict("digits", "--url", server.url, "--rows", path, "--check", "--batch", 7, "--json"))
    assert facts["rows"] == 50
    assert facts["requests"] == 8
    assert (facts["lost_requests"], facts["wrong_rows"]) == (0, 0)
    assert facts["labels"] == split_value()["labels"]
    assert facts["release_digest"].startswith("sha256:")
    text = predict("digits", "--url", server.url, "--rows", path, "--check")
    assert "50 of 50 rows as the bare model" in text


def test_a_plain_list_of_rows_is_predicted_but_cannot_be_checked(server: Server, tmp_path: Path) -> None:
    path = write_split(tmp_path, ROWS)
    assert "50 in 2 requests" in predict("digits", "--url", server.url, "--rows", path)
    with pytest.raises(InputError, match="--check needs the bare model's answers"):
        predict("digits", "--url", server.url, "--rows", path, "--check")


def test_wrong_labels_and_probabilities_exit_3_and_name_the_rows(server: Server, tmp_path: Path) -> None:
    value = split_value()
    value["labels"][7] = (value["labels"][7] + 1) % 10
    value["probabilities"][9][0] += 2e-4
    value["probabilities"][11][0] += 5e-5  # within the tolerance
    path = write_split(tmp_path, value)
    with pytest.raises(LostError, match=r"2 of 50 rows differ .*: row 7: label .* row 9: a probability") as caught:
        predict("digits", "--url", server.url, "--rows", path, "--check")
    assert caught.value.exit_code == 3


def test_mutual_tls_takes_three_files(tmp_path: Path) -> None:
    write_model(tmp_path / "models")
    certificates = make_certificates(tmp_path / "certificates")
    path = write_split(tmp_path, split_value())
    ca = ("--ca", certificates.ca)
    both = ("--cert", certificates.client / "tls.crt", "--key", certificates.client / "tls.key")
    with start_servers(tmp_path / "models", tls=certificates) as (secure,):
        base = ("digits", "--url", secure.url, "--rows", path, "--check")
        assert "50 of 50" in predict(*base, *ca, *both)
        assert "50 of 50" in predict(*base, *ca, *both, "--server-name", certificates.server_name)
        with pytest.raises(UnavailableError, match="no TLS connection: CERTIFICATE_VERIFY_FAILED"):
            predict(*base, *ca, *both, "--server-name", "serving.gcp.local.trihull.internal")
        with pytest.raises(UnavailableError, match="no TLS connection: CERTIFICATE_VERIFY_FAILED; see --ca"):
            predict(*base)
        with pytest.raises(LostError, match="the request was lost"):
            predict(*base, *ca)
        with pytest.raises(UsageError, match="--cert and --key belong together"):
            predict(*base, *ca, *both[:2])
        with pytest.raises(InputError, match="cannot be used as CA certificates"):
            predict(*base, "--ca", path, *both)


@pytest.mark.parametrize(
    ("arguments", "error", "problem"),
    [
        (("other",), InputError, "unknown model: 'other'"),
        (("digits", "--url", "nonsense"), UsageError, "'nonsense' is no address"),
        (("digits", "--url", "ftp://127.0.0.1"), UsageError, "expected http://HOST:PORT"),
    ],
)
def test_a_wrong_model_or_address_is_named(
    server: Server, tmp_path: Path, arguments: tuple[str, ...], error: type[TrihullError], problem: str
) -> None:
    path = write_split(tmp_path, ROWS)
    with pytest.raises(error, match=problem):
        predict("--url", server.url, "--rows", path, *arguments)


def test_nothing_listening_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(UnavailableError, match=f"{url}: cannot be reached"):
        predict("digits", "--url", url, "--rows", write_split(tmp_path, ROWS))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, "version is None"),
        ({"version": 2}, "reads version 1"),
        ([], "expected a list of rows, at least one"),
        ([[1, 2], [3]], r"\[1\]: has 1 numbers, the first has 2"),
        ([[1, "2"]], r"\[0\]: expected a list of numbers"),
        ([[True]], r"\[0\]: expected a list of numbers"),
        ("rows", "expected a list of rows, or an object"),
    ],
)
def test_a_file_that_holds_no_rows_is_refused(tmp_path: Path, value: Any, problem: str) -> None:
    path = write_split(tmp_path, value)
    with pytest.raises(InputError, match=problem) as caught:
        read_split(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": [1]}, "labels: has 1 entries for 50 rows"),
        ({"labels": [None] * 50}, "labels: expected a list of numbers or strings"),
        ({"probabilities": [[1.0]]}, "probabilities: has 1 entries for 50 rows"),
        ({"model": ""}, "model: expected a name"),
        ({"input": None}, "input: expected a name"),
    ],
)
def test_a_split_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_split(write_split(tmp_path, split_value(**changes)))


def test_rows_for_another_model_input_or_width_are_refused(server: Server, tmp_path: Path) -> None:
    base = ("digits", "--url", server.url, "--rows")
    with pytest.raises(InputError, match="the rows are of model 'faces', and 'digits' was asked for"):
        predict(*base, write_split(tmp_path, split_value(model="faces")), "--check")
    with pytest.raises(InputError, match="the rows are for input 'pixels', but the model takes 'image'"):
        predict(*base, write_split(tmp_path, split_value(input="pixels")))
    with pytest.raises(InputError, match="the rows have 2 numbers, but model 'digits' takes 64"):
        predict(*base, write_split(tmp_path, [[1, 2]]))


METADATA = {"name": "digits", "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 64]}]}


@contextlib.contextmanager
def misbehaving(
    answer: Callable[[int], tuple[int, bytes] | None], site: Callable[[int], str | None] = lambda _: None
) -> Iterator[tuple[str, list[int]]]:
    """Serve metadata properly and inference as `answer(n)` says for the nth request; None cuts the connection.

    `site(n)` is the site that the nth answer names, None for an answer that names none.
    """
    seen: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment: two would wait for each other's acknowledgement

        def do_GET(self) -> None:
            self.reply(200, json.dumps(METADATA).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.append(len(seen))
            reply = answer(seen[-1])
            if reply is None:
                self.close_connection = True
            else:
                self.reply(*reply)

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if seen and (name := site(seen[-1])) is not None:
                self.send_header("x-trihull-site", name)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        service.daemon_threads = True
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{service.server_port}", seen
        finally:
            service.shutdown()
            thread.join()


def right(index: int) -> tuple[int, bytes]:
    label, probabilities = split_value()["labels"][index], split_value()["probabilities"][index]
    outputs = [
        {"name": "label", "shape": [1], "datatype": "INT64", "data": [label]},
        {"name": "probabilities", "shape": [1, 10], "datatype": "FP32", "data": probabilities},
    ]
    return 200, json.dumps({"outputs": outputs}).encode()


@pytest.mark.parametrize(
    "bad",
    [
        None,
        (503, b'{"error":"busy"}'),
        (200, b""),
        (200, b"{}"),
        (200, b'{"outputs":[]}'),
        (200, b'{"outputs":[{"name":"label","shape":[1],"data":[]}]}'),
        (200, b'{"outputs":[{"name":"label","shape":[2],"data":[1,2]}]}'),
        (200, b"[" * 100_000),
    ],
)
def test_a_lost_request_is_shown_and_never_sent_again(tmp_path: Path, bad: tuple[int, bytes] | None) -> None:
    with misbehaving(lambda index: bad if index == 3 else right(index)) as (url, seen):
        path = write_split(tmp_path, split_value())
        with pytest.raises(LostError, match="1 of 50 requests were lost; first: rows 3 to 3"):
            predict("digits", "--url", url, "--rows", path, "--check", "--batch", 1)
    assert len(seen) == 50


def test_rows_are_counted_by_the_site_that_answered(tmp_path: Path) -> None:
    with misbehaving(right, lambda index: ("aws", "gcp", None)[min(index // 20, 2)]) as (url, _):
        path = write_split(tmp_path, split_value())
        arguments = ("digits", "--url", url, "--rows", path, "--check", "--batch", 1)
        assert "answered aws 20 rows, gcp 20 rows\n" in predict(*arguments)
    with misbehaving(right) as (url, _):
        arguments = ("digits", "--url", url, "--rows", path, "--check", "--batch", 1)
        assert "answered" not in predict(*arguments)


def test_labels_are_compared_by_class_whether_number_or_text() -> None:
    assert labels_equal([7, "7", "cat", 1.0], [7, 7, "cat", 1]) == [True, True, True, True]
    assert labels_equal([7, "cat"], [8, "dog"]) == [False, False]


def test_lost_rows_are_no_differences_but_missing_probabilities_are() -> None:
    assert differences([1, 2], [[0.5], [0.5]], [None, 2], [None, (0.5,)]) == []
    assert differences([1], [[0.5, 0.5]], [1], [None]) == ["row 0: 0 probabilities, not 2"]
    assert "differs by inf" in differences([1], [[0.5]], [1], [(None,)])[0]  # type: ignore[list-item]  # as JSON gives
