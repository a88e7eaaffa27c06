"""gRPC passes too: over HTTP/2, to another site when one is dead, and streams from both sides."""

import concurrent.futures
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from tests.failover.load import eventually
from tests.failover.rig import Router, fleet_of, router_for
from tests.failover.standin import StandIn
from tests.servers import free_ports
from trihull_runtime.contract import Endpoint

SERVICE = "inference.GRPCInferenceService"


class Inference(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """A site's gRPC service, on bytes: answers with its name and what it was sent."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.busy = False

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method.endswith("/ModelStreamInfer"):
            return grpc.stream_stream_rpc_method_handler(self.stream)
        return grpc.unary_unary_rpc_method_handler(self.infer)

    def infer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        if self.busy:
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        return self.name + b" " + request

    def stream(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for request in requests:
            yield self.name + b" " + request


@contextlib.contextmanager
def serving(name: str, port: int) -> Iterator[Inference]:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        server, handler = grpc.server(pool), Inference(name)
        server.add_generic_rpc_handlers((handler,))
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            yield handler
        finally:
            server.stop(0).wait(10)


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture
def grpc_router(standins: dict[str, StandIn], ports: list[int], tmp_path: Path) -> Iterator[Router]:
    """aws and gcp speak gRPC, azure does not."""
    aws, gcp, azure = fleet_of(standins).sites
    spoken = [
        replace(site, grpc_endpoint=Endpoint(f"http://127.0.0.1:{port}", "x.example.org"))
        for site, port in zip((aws, gcp), ports, strict=True)
    ]
    with router_for(tmp_path / "router", replace(fleet_of(standins), sites=(*spoken, azure))) as router:
        yield router


def infer(channel: grpc.Channel, request: bytes) -> bytes:
    answer = channel.unary_unary(f"/{SERVICE}/ModelInfer")(request, timeout=10)
    assert isinstance(answer, bytes)
    return answer


def test_calls_pass_and_leave_a_dead_site(grpc_router: Router, ports: list[int]) -> None:
    target = grpc_router.url.removeprefix("http://")
    with serving("gcp", ports[1]), grpc.insecure_channel(target) as channel:
        with serving("aws", ports[0]) as aws:
            healthy = "cluster.grpc.membership_healthy"
            eventually(lambda: grpc_router.envoy.admin.stats(healthy)[healthy] == 2, "both sites are known to be well")
            eventually(lambda: infer(channel, b"one") == b"aws one", "the first choice answers")
            aws.busy = True
            assert {infer(channel, b"two") for _ in range(5)} == {b"gcp two"}
            aws.busy = False
        assert {infer(channel, f"{number}".encode()) for number in range(30)} == {
            f"gcp {number}".encode() for number in range(30)
        }


def test_streams_pass_in_both_directions(grpc_router: Router, ports: list[int]) -> None:
    target = grpc_router.url.removeprefix("http://")
    with serving("aws", ports[0]), serving("gcp", ports[1]), grpc.insecure_channel(target) as channel:
        eventually(lambda: infer(channel, b"one") in (b"aws one", b"gcp one"), "a site answers")
        stream = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")
        answers = [answer.split(b" ")[1] for answer in stream(iter([b"a", b"b", b"c"]), timeout=10)]
    assert answers == [b"a", b"b", b"c"]


def test_without_a_site_that_speaks_it_a_call_is_refused_in_its_own_words(router: Router) -> None:
    target = router.url.removeprefix("http://")
    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError) as caught:
        infer(channel, b"one")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
