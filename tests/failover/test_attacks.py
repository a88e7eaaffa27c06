"""Requests made to deceive, and the doors that are nobody's business: none leads anywhere."""

import json
from pathlib import Path

import pytest

from tests.failover.rig import Router, ask, fleet_of, raw, router_for
from tests.failover.standin import StandIn
from tests.servers import free_ports

INFER = "/v2/models/digits/infer"
EVERYWHERE = "0.0.0.0"  # what is refused is the point  # noqa: S104


@pytest.fixture
def standins(shared_standins: dict[str, StandIn]) -> dict[str, StandIn]:
    """The module's: no test changes them, and a refused request leaves nothing behind."""
    return shared_standins


@pytest.fixture
def router(shared_router: Router) -> Router:
    return shared_router


@pytest.mark.parametrize(
    ("data", "status_line"),
    [
        (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", b"501"),
        (b"POST %s HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: x\r\nX-A\r\n: b\r\nContent-Length: 0\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nX-A: no host\r\nContent-Length: 0\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: x\r\nX_Trihull_Class: eu\r\nContent-Length: 0\r\n\r\n", b"400"),
        (b"POST %s HTTP/9.9\r\nHost: x\r\n\r\n", b"426"),
        (b"\x16\x03\x01 %s not http at all\r\n\r\n", b"400"),
        (b"POST %s HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 80_000 + b"\r\n\r\n", b"431"),
    ],
    ids=[
        "CL.TE",
        "two lengths",
        "unknown coding",
        "nul",
        "broken name",
        "no host",
        "underscores",
        "version",
        "garbage",
        "large",
    ],
)
def test_requests_made_to_deceive_reach_no_site(
    router: Router, standins: dict[str, StandIn], data: bytes, status_line: bytes
) -> None:
    smuggled = b"GET /v2/models/digits HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = raw(router, data.replace(b"%s", INFER.encode()) + smuggled)
    assert answer.split(b" ")[1:2] in ([status_line], [b"400"]), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1  # what came behind was not read as a request
    asked = [path for site in standins.values() for _, path, _ in site.asked]
    assert INFER not in asked


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/digits/../../admin",
        "/v2/models/digits/..%2f..%2fetc%2fpasswd",
        "/v2/models/digits/%2e%2e/%2e%2e/config_dump",
        "/v2/models/digits%2finfer",
        "/v2/models/digits\\..\\x",
        "//v2//models//other//infer",
        "/config_dump",
        "/quitquitquit",
        "/stats",
    ],
)
def test_paths_lead_nowhere_else(router: Router, standins: dict[str, StandIn], path: str) -> None:
    answer = raw(router, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"400", b"404"), answer[:100]
    asked = {asked for site in standins.values() for _, asked, _ in site.asked}
    assert all(each.startswith("/v2/models/digits/") for each in asked)  # the router's own questions


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n ", "\0", "\x0b"], ids=repr)
def test_a_header_cannot_carry_another(router: Router, end: str) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nX-A: b{end}X-Trihull-Class: eu\r\nContent-Length: 2\r\n\r\n{{}}"
    answer = raw(router, head.encode())
    if answer.split(b" ")[1] == b"200":  # then it is taken apart or cleaned, and nothing forged travels on
        seen = json.loads(answer.split(b"\r\n\r\n", 1)[1])["headers"]
        assert not {"x-trihull-class", "x-trihull-client"} & set(seen)
        assert "\r" not in seen["x-a"]
        assert "\n" not in seen["x-a"]
    else:
        assert answer.split(b" ")[1] == b"400"


def test_the_admin_api_is_on_loopback_and_asks_others_for_its_token(
    standins: dict[str, StandIn], tmp_path: Path
) -> None:
    with router_for(tmp_path / "open", None, TRIHULL_ADMIN_HOST=EVERYWHERE) as router:
        fleet_of(standins).write(router.fleet_path)
        router.start(wait=False)
        assert router.wait_end() == 64
        assert "would take orders from anybody" in router.text()
    secret = tmp_path / "token"
    secret.write_text("a-token-of-some-length-0123\n")
    environment = {"TRIHULL_ADMIN_HOST": EVERYWHERE, "TRIHULL_ADMIN_TOKEN": str(secret)}
    with router_for(tmp_path / "guarded", fleet_of(standins), **environment) as router:
        url = router.admin_url
        assert ask(f"{url}/healthz")[0] == 200
        for headers in ({}, {"authorization": "Bearer no"}, {"authorization": "a-token-of-some-length-0123x"}):
            assert ask(f"{url}/v1/status", headers=headers)[0] == 401
            assert ask(f"{url}/v1/sites/aws/drain", "POST", b"", headers)[0] == 401
        assert ask(f"{url}/v1/status", headers={"authorization": "Bearer a-token-of-some-length-0123"})[0] == 200
        assert "a-token-of-some" not in router.text()


def test_a_page_of_another_host_cannot_reach_the_admin_api(router: Router) -> None:
    assert ask(f"{router.admin_url}/v1/status", headers={"Host": "evil.example.org"})[0] == 421
    assert ask(f"{router.admin_url}/v1/sites/aws/drain", "POST", b"", {"Host": "evil.example.org:8083"})[0] == 421
    assert router.health()["aws"] == "healthy"


def test_the_metrics_port_gives_metrics_and_nothing_else(standins: dict[str, StandIn], tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with router_for(tmp_path / "router", fleet_of(standins), TRIHULL_PORT_METRICS=f"{port}"):
        url = f"http://127.0.0.1:{port}"
        status_code, headers, body = ask(f"{url}/metrics")
        assert status_code == 200
        assert headers["content-type"].startswith("text/plain")
        assert b"trihull_router_envoy_up 1" in body
        assert ask(f"{url}/healthz")[0] == 200
        for method, path in (
            ("GET", "/v1/status"),
            ("POST", "/v1/sites/aws/drain"),
            ("PUT", "/v1/fleet"),
            ("GET", "/"),
        ):
            assert ask(f"{url}{path}", method, b"" if method != "GET" else None)[0] == 404
        assert ask(f"{url}/metrics", "POST", b"")[0] == 405
