import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trihull_infra.cloud import Cloud
from trihull_infra.deploy import readiness


@contextmanager
def router(refusals: int) -> Iterator[str]:
    """A router that answers 503 so many times before it accepts."""
    left = [refusals]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            left[0] -= 1
            self.send_response(503 if left[0] >= 0 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_router_is_waited_for_until_it_accepts() -> None:
    with router(3) as url:
        outcomes = readiness.wait({Cloud.AWS: url}, 60, lambda: True)
    assert outcomes[Cloud.AWS].problem == ""


def test_a_router_that_does_not_accept_in_time_is_named_and_the_others_are_not_blamed() -> None:
    with router(0) as good, router(10**6) as bad:
        closed = {Cloud.AWS: good, Cloud.GCP: bad, Cloud.AZURE: "http://127.0.0.1:9"}
        outcomes = readiness.wait(closed, 1.0, lambda: True)
    assert outcomes[Cloud.AWS].problem == ""
    assert f"{bad}/routerz did not answer 200" in outcomes[Cloud.GCP].problem
    assert "it answered 503" in outcomes[Cloud.GCP].problem
    assert "refused" in outcomes[Cloud.AZURE].problem


def test_waiting_ends_when_it_is_asked_to() -> None:
    outcomes = readiness.wait({Cloud.AZURE: "http://127.0.0.1:9"}, 600, lambda: False)
    assert outcomes[Cloud.AZURE].problem


def test_without_routers_there_is_nothing_to_wait_for() -> None:
    assert readiness.wait({}, 600, lambda: True) == {}
