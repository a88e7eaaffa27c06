"""The small parts around the control loop."""

import asyncio
import io
import json
import socket
from pathlib import Path

import pytest

from tests.unit.runtime.router.discovery import decoded
from tests.unit.runtime.router.fleets import ADDRESSES, DIGEST, fleet, site
from trihull_runtime.contract import Fleet, Policy, SiteState
from trihull_runtime.errors import UsageError
from trihull_runtime.router import addresses, binary
from trihull_runtime.router.envoy import AccessLog, Configuration, Ingress, Layout, render
from trihull_runtime.router.envoy_admin import EnvoyAdmin
from trihull_runtime.router.errors import EnvoyError
from trihull_runtime.router.events import KEPT, Events, Tail
from trihull_runtime.router.files import Files
from trihull_runtime.router.health import SiteHealth
from trihull_runtime.router.metrics import Facts, render_metrics
from trihull_runtime.router.planning import make_plan
from trihull_runtime.router.process import refuse_occupied
from trihull_runtime.router.settings import from_environment
from trihull_runtime.router.state import EMPTY, Memory, StateFolder
from trihull_runtime.router.status import model_status
from trihull_runtime.router.timings import LAB, WAN


class TestAddresses:
    def test_literal_addresses_need_no_name_server(self) -> None:
        found = asyncio.run(addresses.resolve(["192.0.2.1", "2001:db8::1"], {}))
        assert found == {"192.0.2.1": ("192.0.2.1",), "2001:db8::1": ("2001:db8::1",)}

    def test_a_name_that_fails_keeps_its_known_addresses(self) -> None:
        known = {"gone.invalid": ("192.0.2.9",)}  # RFC 6761, 6.4: .invalid never resolves
        assert asyncio.run(addresses.resolve(["gone.invalid"], known)) == known

    def test_a_name_that_never_resolved_is_left_out(self) -> None:
        assert asyncio.run(addresses.resolve(["gone.invalid", "x" * 300], {})) == {}

    def test_ipv4_is_preferred(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = [(socket.AF_INET6, 0, 0, "", ("::1", 0)), (socket.AF_INET, 0, 0, "", ("127.0.0.1", 0))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
        assert asyncio.run(addresses.resolve(["both.example.org"], {})) == {"both.example.org": ("127.0.0.1",)}

    def test_hosts_are_named_once(self) -> None:
        document = fleet(site("aws"), site("gcp"), site("azure", endpoint=None))
        assert addresses.hosts(document) == ("192.0.2.1",)


class TestBinary:
    def test_the_wheels_binary_is_found_without_a_script_on_path(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        assert binary.find_envoy().name == "envoy"
        assert binary.find_envoy().parent.name == "_bin"

    def test_a_script_on_path_is_passed_over_for_the_binary(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = tmp_path / "envoy"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert binary.find_envoy() != script

    def test_a_real_program_on_path_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = tmp_path / "envoy"
        program.write_bytes(b"\x7fELF")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert binary.find_envoy() == program

    def test_no_envoy_is_one_clear_message(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr(binary, "PACKAGE", "there_is_no_such_package")
        with pytest.raises(EnvoyError, match="Envoy is missing") as caught:
            binary.find_envoy()
        assert caught.value.exit_code == 69


class TestSettings:
    def test_a_container_needs_a_fleet_and_a_state_folder(self) -> None:
        with pytest.raises(UsageError, match="TRIHULL_FLEET and TRIHULL_STATE"):
            from_environment({})

    def test_the_environment_says_it_all(self, tmp_path: Path) -> None:
        found = from_environment(
            {
                "TRIHULL_FLEET": str(tmp_path / "fleet.json"),
                "TRIHULL_STATE": str(tmp_path),
                "TRIHULL_SITE": "gcp",
                "TRIHULL_POLICY": "priority",
                "TRIHULL_HOST": "127.0.0.1",
                "TRIHULL_PORT_INGRESS": "18080",
                "TRIHULL_PORT_ADMIN": "18083",
                "TRIHULL_TLS": str(tmp_path),
                "TRIHULL_TIMINGS": "lab",
                "TRIHULL_ACCESS_LOG": "none",
            }
        )
        assert (found.site, found.policy, found.port, found.admin_port) == ("gcp", Policy.PRIORITY, 18080, 18083)
        assert (found.timings, found.access_log, found.own_group) == (LAB, AccessLog.NONE, False)

    def test_defaults_are_those_of_a_container(self) -> None:
        found = from_environment({"TRIHULL_FLEET": "/f", "TRIHULL_STATE": "/s"})
        assert (found.host, found.port, found.admin_host, found.admin_port) == ("0.0.0.0", 8080, "127.0.0.1", 8083)  # noqa: S104
        assert (found.site, found.policy, found.tls, found.timings) == (None, Policy.LOCAL_FIRST, None, WAN)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("TRIHULL_POLICY", "nearest"),
            ("TRIHULL_TIMINGS", "moon"),
            ("TRIHULL_PORT_INGRESS", "http"),
            ("TRIHULL_PORT_ADMIN", "70000"),
            ("TRIHULL_ACCESS_LOG", "some"),
            ("TRIHULL_HOST", "localhost"),
        ],
    )
    def test_a_wrong_value_is_refused_by_name(self, name: str, value: str) -> None:
        with pytest.raises(UsageError, match=value):
            from_environment({"TRIHULL_FLEET": "/f", "TRIHULL_STATE": "/s", name: value})


class TestFiles:
    def test_only_what_differs_is_written_and_a_successor_knows_it(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path / "envoy", tmp_path / "logs", tmp_path / "envoy.sock", None)

        def rendered(document: Fleet) -> Configuration:
            return render(make_plan(document, Policy.PRIORITY, ADDRESSES), layout, Ingress("127.0.0.1", 1), LAB)

        one, two = rendered(fleet(site("aws"), site("gcp"))), rendered(fleet(site("aws"), site("gcp", 1)))
        assert set(Files(layout.folder).write(one, 1)) == set(one.files)
        successor = Files(layout.folder)
        assert successor.write(one, 2) == []
        changed = successor.write(two, 3)
        assert changed == [layout.endpoints("model-digits")]
        assert decoded(changed[0].read_bytes())["version_info"] == "3"

    def test_a_damaged_file_is_written_again_and_what_is_not_needed_goes(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path / "envoy", tmp_path / "logs", tmp_path / "envoy.sock", None)
        both = fleet(site("aws"), models={"digits": (DIGEST,), "iris": (DIGEST,)})
        plans = [make_plan(document, Policy.PRIORITY, ADDRESSES) for document in (both, fleet(site("aws")))]
        two, one = (render(plan, layout, Ingress("127.0.0.1", 1), LAB) for plan in plans)
        Files(layout.folder).write(two, 1)
        layout.listeners.write_text("{")
        endpoints = layout.endpoints("model-digits")
        endpoints.write_bytes(endpoints.read_bytes()[:-1])
        layout.endpoints("sites").write_bytes(b"")
        files = Files(layout.folder)
        written = files.write(one, 2)
        assert {layout.listeners, endpoints, layout.endpoints("sites")} <= set(written)
        files.remove_others(one)
        assert not layout.endpoints("model-iris").exists()


class TestState:
    def test_one_folder_is_for_one_router(self, tmp_path: Path) -> None:
        first = StateFolder(tmp_path)
        with pytest.raises(EnvoyError, match="another router"):
            StateFolder(tmp_path)
        first.close()
        StateFolder(tmp_path).close()

    def test_a_folder_that_cannot_be_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(EnvoyError, match="file/state"):
            StateFolder(tmp_path / "file" / "state")

    def test_what_is_remembered_comes_back(self, tmp_path: Path) -> None:
        state = StateFolder(tmp_path)
        assert state.memory() == (EMPTY, None)
        memory = Memory(1, 7, {"aws": SiteState.DRAINING}, {"h": ("192.0.2.1",)}, "admin", "sha256:0")
        memory.write(state.memory_path)
        assert state.memory() == (memory, None)
        state.close()

    def test_a_damaged_memory_is_put_aside_and_told(self, tmp_path: Path) -> None:
        state = StateFolder(tmp_path)
        state.memory_path.write_text("{")
        memory, error = state.memory()
        assert memory == EMPTY
        assert error is not None
        assert (tmp_path / "router.damaged").read_text() == "{"
        assert state.last_good() is None
        state.close()


class TestEvents:
    def test_an_event_is_one_line_of_json_and_kept(self) -> None:
        stream = io.StringIO()
        events = Events(stream)
        for number in range(KEPT + 1):
            events.emit("something", "it happened", number=number)
        lines = stream.getvalue().splitlines()
        assert json.loads(lines[0])["event"] == "something"
        assert [entry["number"] for entry in events.recent] == list(range(1, KEPT + 1))

    def test_a_reader_that_left_does_not_stop_the_router(self) -> None:
        class Gone(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError(text)

        events = Events(Gone())
        events.emit("one", "nobody listens")
        events.emit("two", "nobody listens")
        assert len(events.recent) == 2

    def test_a_log_is_followed_over_its_replacement(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_bytes(b"old\n")
        tail = Tail(path)
        assert not tail.behind()
        with path.open("ab") as file:
            file.write(b"one\ntw")
        assert tail.behind()
        assert tail.lines() == [b"one"]
        assert not tail.behind()
        with path.open("ab") as file:
            file.write(b"o\n")
        assert tail.lines() == [b"two"]
        path.rename(tmp_path / "log.old")
        path.write_bytes(b"three\n")
        assert tail.behind()
        assert tail.lines() == [b"three"]
        assert tail.lines() == []


def test_an_order_that_envoy_does_not_take_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EnvoyAdmin, "call", lambda self, method, target: (503, b"No admin layer specified"))
    with pytest.raises(EnvoyError, match="does not take share=5: No admin layer specified"):
        EnvoyAdmin(Path("envoy.sock")).order("share", 5)


class TestStatus:
    PLAN = make_plan(fleet(site("aws"), site("gcp", url="http://one.example.org:1")), Policy.PRIORITY, ADDRESSES)

    def test_the_best_address_of_a_site_is_its_health(self) -> None:
        def host(zone: str, requests: int, **health: bool) -> dict[str, object]:
            stats = [{"name": "rq_total", "value": f"{requests}"}, {"name": "rq_error"}]
            return {"locality": {"zone": zone}, "stats": stats, "health_status": health}

        hosts = [
            host("aws", 1, failed_active_health_check=True),
            host("gcp", 2, failed_active_health_check=True),
            host("gcp", 3, failed_outlier_check=True),
        ]
        page = {"cluster_statuses": [{"name": "model-digits", "host_statuses": hosts}]}
        rows = model_status(self.PLAN, page, {}, {})
        found = {row["name"]: (row["health"], row["requests"]) for row in rows["digits"]}
        assert found == {"aws": ("unhealthy", 1), "gcp": ("ejected", 5)}

    def test_without_envoy_health_is_unknown(self) -> None:
        assert {row["health"] for row in model_status(self.PLAN, None, {}, {})["digits"]} == {"unknown"}

    def test_a_site_that_may_not_answer_is_shown_with_its_reason(self) -> None:
        health = {"aws": SiteHealth(wrong={"digits": "it says 4"})}
        plan = make_plan(
            fleet(site("aws"), site("gcp", url="http://one.example.org:1")), Policy.PRIORITY, ADDRESSES, health=health
        )
        rows = {row["name"]: row for row in model_status(plan, None, health, {"gcp": 0.0123456})["digits"]}
        assert (rows["aws"]["health"], rows["aws"]["reason"], rows["aws"]["share_percent"]) == (
            "refused",
            "it says 4",
            0,
        )
        assert (rows["gcp"]["share_percent"], rows["gcp"]["latency_ms"]) == (100, 12.346)

    def test_metrics_are_prometheus_text(self) -> None:
        health = {"aws": SiteHealth(limit_percent=25)}
        facts = Facts(
            plan=self.PLAN,
            models=model_status(self.PLAN, None, health, {}),
            health=health,
            config_version=3,
            refused_total=1,
            refused_now=True,
            restarts=0,
            envoy_up=False,
            failovers={("digits", "", "aws", "gcp"): 2},
            findings={("digits", "aws", "wrong"): 1},
            latency_s={"aws": 0.25},
            shadows={("digits", "gcp", "equal"): 7},
            truncated={"aws": 4},
            certificates={'a "quoted" name': 1.8e9},
        )
        text = render_metrics(facts)
        assert 'trihull_router_failovers_total{model="digits",class="",from="aws",to="gcp"} 2\n' in text
        assert 'trihull_router_certificate_expiry_seconds{which="a \\"quoted\\" name"} 1800000000\n' in text
        assert 'trihull_router_site_limit_percent{site="aws"} 25\n' in text
        assert "trihull_router_config_version 3\n" in text
        assert 'trihull_router_site_state{model="digits",class="",site="aws",state="unknown"} 1\n' in text
        families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
        assert len(families) == len(set(families))


class TestPorts:
    def test_a_port_that_is_listened_on_is_refused(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            with pytest.raises(EnvoyError, match=f"127.0.0.1:{port} cannot be used"):
                refuse_occupied("127.0.0.1", port, "the ingress")
        refuse_occupied("127.0.0.1", port, "the ingress")
