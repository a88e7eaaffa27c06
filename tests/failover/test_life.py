"""Birth, death and rebirth of the router itself: what it needs, what it leaves, and what survives it."""

import os
import signal
import socket
from pathlib import Path

from tests.failover.conftest import Sites
from tests.failover.load import Load, eventually
from tests.failover.rig import Router, ask, fleet_of, router_for
from tests.failover.standin import StandIn

INFER = "/v2/models/digits/infer"


def _answers(router: Router) -> bool:
    try:
        return ask(f"{router.url}{INFER}", "POST", b"{}")[0] == 200
    except OSError:
        return False


def test_a_killed_envoy_is_started_again_and_serves_from_its_files(router: Router) -> None:
    first = router.envoy.pid()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    router.wait_event("envoy_started", count=2)
    assert _answers(router)
    assert router.envoy.pid() != first
    assert router.admin("GET", "/v1/status")[1]["envoy"]["restarts"] == 1


def test_a_stop_finishes_what_is_in_flight_and_leaves_nothing(router: Router, standins: dict[str, StandIn]) -> None:
    with Load(router.url, rate=40) as load:
        load.wait_more(20)
        assert router.process is not None
        router.process.terminate()
        router.wait_event("stopping")
        assert router.wait_end() == 0
    answered = [outcome for outcome in load.outcomes if outcome.status]
    assert {outcome.status for outcome in answered} == {200}
    # a client that comes after the end is told so by the system, before its request was taken
    refused = {outcome.problem.split(":")[0] for outcome in load.lost}
    assert refused <= {"ConnectionRefusedError", "ConnectionResetError"}
    asked = {identity for site in standins.values() for _, _, identity in site.asked}
    assert not asked & {f"{outcome.number}" for outcome in load.lost}
    assert not router.envoy.alive()
    assert not router.envoy.layout.admin_socket.exists()


def test_an_interrupt_is_a_stop(router: Router) -> None:
    assert router.process is not None
    router.process.send_signal(signal.SIGINT)
    assert router.wait_end() == 0
    assert not router.envoy.alive()


def test_a_stop_during_the_start_leaves_nothing(sites: Sites, tmp_path: Path) -> None:
    with router_for(tmp_path / "router", None, TRIHULL_TLS=sites.client, TRIHULL_TIMINGS="wan") as router:
        for server in sites.servers:
            server.freeze()  # Envoy is not ready before its first health checks have an answer
        sites.fleet.write(router.fleet_path)
        router.start(wait=False)
        eventually(lambda: router.envoy.layout.bootstrap.exists() and router.envoy.alive(), "Envoy was started")
        assert router.stop() == 0
        assert not router.envoy.alive()
        assert router.events("ready") == []


def test_a_damaged_fleet_at_boot_starts_with_the_last_good_one(router: Router) -> None:
    assert router.stop() == 0
    for damaged in ("{", None):
        if damaged is None:
            router.fleet_path.unlink()
        else:
            router.fleet_path.write_text(damaged)
        router.start()
        assert router.events("last_good")[-1]["level"] == "warning"
        eventually(lambda: _answers(router), "the last good fleet answers")
        assert router.admin("GET", "/v1/status")[1]["config"]["refused"] is not None
        assert router.stop() == 0


def test_no_fleet_at_all_is_one_message_and_nothing_left(tmp_path: Path) -> None:
    with router_for(tmp_path / "router", None) as router:
        router.start(wait=False)
        assert router.wait_end() == 65
        assert router.text().splitlines()[-1].startswith(f"trihull: the fleet {router.fleet_path} cannot be read")
        assert "Traceback" not in router.text()
        assert not router.envoy.alive()


def test_an_occupied_port_is_one_message_and_nothing_left(standins: dict[str, StandIn], tmp_path: Path) -> None:
    with router_for(tmp_path / "router", None) as router, socket.socket() as other:
        fleet_of(standins).write(router.fleet_path)
        for name in ("TRIHULL_PORT_INGRESS", "TRIHULL_PORT_ADMIN"):
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("127.0.0.1", int(router.environment[name])))
                other.listen()
                router.start(wait=False)
                assert router.wait_end() == 69
            message = router.text().splitlines()[-1]
            assert message.startswith("trihull: ")
            assert router.environment[name] in message
        assert "Traceback" not in router.text()
        assert not router.envoy.alive()


def test_a_state_folder_belongs_to_one_router(router: Router) -> None:
    second = Router(router.folder, **router.environment)
    second.output = router.folder / "second.log"
    second.start(wait=False)
    assert second.wait_end() == 69
    assert "another router runs" in second.text()
    assert _answers(router)


def test_two_routers_stand_side_by_side(router: Router, standins: dict[str, StandIn], tmp_path: Path) -> None:
    environment = {"TRIHULL_POLICY": "local-first", "TRIHULL_SITE": "gcp"}
    with router_for(tmp_path / "second", fleet_of(standins), **environment) as second:
        second.wait_health(gcp="healthy")
        with Load(router.url, rate=40) as load, Load(second.url, rate=40) as second_load:
            load.wait_site("aws")
            second_load.wait_site("gcp")
            second.kill()
            os.kill(second.envoy.pid() or 0, signal.SIGKILL)
            load.wait_more(20)
        assert load.lost == []


def test_a_long_state_path_is_no_obstacle(standins: dict[str, StandIn], tmp_path: Path) -> None:
    state = tmp_path / ("long-" * 20) / ("path-" * 20)
    with router_for(tmp_path / "router", fleet_of(standins), TRIHULL_STATE=str(state)) as router:
        eventually(lambda: _answers(router), "it answers")
        found = router.envoy.layout.admin_socket
        assert not found.is_relative_to(state)
        assert router.stop() == 0
        assert not found.parent.exists()


def test_a_missing_client_certificate_is_named(tmp_path: Path) -> None:
    with router_for(tmp_path / "router", None, TRIHULL_TLS=str(tmp_path)) as router:
        router.start(wait=False)
        assert router.wait_end() == 64
        assert f"{tmp_path} has no tls.crt" in router.text()


def test_a_frozen_envoy_left_by_a_dead_router_is_replaced_when_it_must_be(router: Router) -> None:
    first = router.envoy.pid()
    assert first is not None
    router.kill()
    os.kill(first, signal.SIGSTOP)
    router.start()
    assert router.envoy.pid() != first
    eventually(lambda: _answers(router), "the new Envoy answers")
