"""A site dies, hangs or is cut off while requests come in: none is lost, none gets another's answer."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.failover.conftest import Sites
from tests.failover.load import Load, eventually
from tests.failover.rig import Router, ask, router_for
from tests.servers import infer_request

ROWS = [[float((row * 7 + column) % 17) for column in range(64)] for row in range(2)]
REQUEST = infer_request(ROWS)


@pytest.fixture
def load(secure_router: Router) -> Load:
    """Requests to real models; every answer must equal the first calm one, in full."""
    _, _, data = ask(f"{secure_router.url}/v2/models/digits/infer", "POST", _body())
    expected = _outputs(data)

    def check(answer: Any) -> str:
        return "" if answer["outputs"] == expected else f"a wrong answer: {answer['outputs']}"

    return Load(secure_router.url, request=REQUEST, check=check)


def _body() -> bytes:
    return json.dumps(REQUEST).encode()


def _outputs(data: bytes) -> Any:
    return json.loads(data)["outputs"]


def test_a_killed_site_costs_no_request_and_takes_its_traffic_back(
    sites: Sites, secure_router: Router, load: Load
) -> None:
    with load:
        load.wait_site("aws")
        sites.servers[0].kill()
        load.wait_site("gcp")
        secure_router.wait_health(aws="unhealthy")
        sites.servers[0].restart()
        load.wait_site("aws")
    assert load.lost == []
    # Which is told depends on whether a request or a check met the dead site first; one that is soon back has one only.
    kinds = ("site_unhealthy", "site_ejected")
    eventually(
        lambda: any(
            event["site"] == "aws" and event["reason"] for kind in kinds for event in secure_router.events(kind)
        ),
        "the dead site is told",
    )


def test_a_frozen_site_costs_no_request_and_takes_its_traffic_back(
    sites: Sites, secure_router: Router, load: Load
) -> None:
    with load:
        load.wait_site("aws")
        sites.servers[0].freeze()
        load.wait_site("gcp")
        sites.servers[0].thaw()
        load.wait_site("aws")
    assert load.lost == []
    assert {outcome.status for outcome in load.outcomes} == {200}


def test_two_sites_killed_at_once_cost_no_request(sites: Sites, load: Load) -> None:
    with load:
        load.wait_site("aws")
        sites.servers[0].kill()
        sites.servers[1].kill()
        load.wait_site("azure")
    assert load.lost == []


def test_a_site_that_is_asked_to_stop_costs_no_request(sites: Sites, load: Load) -> None:
    with load:
        load.wait_site("aws")
        sites.servers[0].process.terminate()
        load.wait_site("gcp")
        assert sites.servers[0].process.wait(40) == 0
    assert load.lost == []


def test_routing_and_failover_go_on_without_the_control_process(
    sites: Sites, secure_router: Router, load: Load
) -> None:
    with load:
        load.wait_site("aws")
        secure_router.kill()
        begin = time.monotonic()
        load.wait_more(20)
        sites.servers[0].kill()
        load.wait_site("gcp")
        pid = secure_router.envoy.pid()
        secure_router.start()  # a new one finds the running Envoy and goes on with it
        secure_router.wait_health(gcp="healthy", azure="healthy")
        assert secure_router.events("envoy_adopted")[-1]["pid"] == pid
        sites.servers[0].restart()
        load.wait_site("aws")
    assert load.lost == []
    assert len(load.since(begin)) > 20


def test_local_first_asks_the_own_site_before_all_others(sites: Sites, tmp_path: Path) -> None:
    environment = {"TRIHULL_POLICY": "local-first", "TRIHULL_SITE": "azure", "TRIHULL_TLS": sites.client}
    with router_for(tmp_path / "router", sites.fleet, **environment) as router:
        with Load(router.url, request=REQUEST) as load:
            load.wait_site("azure")
            sites.servers[2].kill()
            load.wait_site("aws")
        assert load.lost == []
