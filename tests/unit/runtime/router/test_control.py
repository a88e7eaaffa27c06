"""The control loop without a running Envoy: what it decides, writes and remembers. Envoy still validates for real."""

import asyncio
import errno
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.runtime.router.discovery import decoded
from tests.unit.runtime.router.fleets import DIGEST, fleet, site
from trihull_runtime.contract import ContractError, SiteState
from trihull_runtime.contract.codec import write_file
from trihull_runtime.router import addresses, files
from trihull_runtime.router.binary import find_envoy
from trihull_runtime.router.control import Control
from trihull_runtime.router.errors import RouterError
from trihull_runtime.router.events import Events
from trihull_runtime.router.health import Load, SiteHealth
from trihull_runtime.router.process import EnvoyProcess
from trihull_runtime.router.run import layout_of
from trihull_runtime.router.settings import Settings
from trihull_runtime.router.state import StateFolder


@dataclass
class Bench:
    """A control loop that is made anew as often as a test asks, over one state folder and one name service."""

    settings: Settings
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    state: StateFolder | None = None

    def control(self) -> Control:
        if self.state is not None:
            self.state.close()
        self.state = StateFolder(self.settings.state)
        process = EnvoyProcess(find_envoy(), layout_of(self.settings), own_group=False)
        return Control(self.settings, self.state, process, Events(io.StringIO()))

    def endpoints(self) -> list[str]:
        """The addresses that Envoy is told for the model, in order."""
        path = self.settings.state / "envoy" / "eds-model-digits.pb"
        (assignment,) = decoded(path.read_bytes())["resources"]
        found: list[dict[str, Any]] = [one for entry in assignment["endpoints"] for one in entry["lb_endpoints"]]
        return [one["endpoint"]["address"]["socket_address"]["address"] for one in found]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(Settings(fleet=tmp_path / "fleet.json", state=tmp_path / "state"))

    async def resolve(names: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        found = {name: made.names.get(name) or known.get(name, ()) for name in names}
        return {name: each for name, each in found.items() if each}

    monkeypatch.setattr(addresses, "resolve", resolve)
    yield made
    if made.state is not None:
        made.state.close()


ONE = fleet(site("aws", url="http://one.example.org:80"))
TWO = fleet(site("aws", url="http://two.example.org:80"))


def test_a_fleet_that_waits_for_a_name_is_taken_when_it_resolves(bench: Bench) -> None:
    async def scenario() -> None:
        bench.names["one.example.org"] = ("192.0.2.1",)
        ONE.write(bench.settings.fleet)
        control = bench.control()
        await control.boot()
        TWO.write(bench.settings.fleet)
        await control.look_at_file()
        assert control.refusal is not None
        assert "two.example.org does not resolve" in control.refusal.reason
        assert control.fleet == ONE
        await control.resolve_again()
        assert control.fleet == ONE
        bench.names["two.example.org"] = ("192.0.2.2",)
        await control.resolve_again()
        assert control.fleet == TWO
        assert control.refusal is None
        assert bench.endpoints() == ["192.0.2.2"]

    asyncio.run(scenario())


def test_new_addresses_are_followed_and_lost_ones_kept(bench: Bench) -> None:
    async def scenario() -> None:
        bench.names["one.example.org"] = ("192.0.2.1",)
        ONE.write(bench.settings.fleet)
        control = bench.control()
        await control.boot()
        version = control.memory.config_version
        await control.resolve_again()
        assert control.memory.config_version == version
        bench.names["one.example.org"] = ("192.0.2.1", "192.0.2.7")
        await control.resolve_again()
        assert bench.endpoints() == ["192.0.2.1", "192.0.2.7"]
        bench.names.clear()
        await control.resolve_again()
        assert bench.endpoints() == ["192.0.2.1", "192.0.2.7"]
        await bench.control().boot()  # a name server that is dead at boot changes nothing either
        assert bench.endpoints() == ["192.0.2.1", "192.0.2.7"]

    asyncio.run(scenario())


def test_new_addresses_do_not_heal_a_refused_file(bench: Bench) -> None:
    async def scenario() -> None:
        bench.names["one.example.org"] = ("192.0.2.1",)
        ONE.write(bench.settings.fleet)
        control = bench.control()
        await control.boot()
        bench.settings.fleet.write_text("{")
        await control.look_at_file()
        bench.names["one.example.org"] = ("192.0.2.2",)
        await control.resolve_again()
        assert bench.endpoints() == ["192.0.2.2"]
        assert control.refusal is not None

    asyncio.run(scenario())


def test_a_version_is_never_used_twice(bench: Bench) -> None:
    async def scenario() -> None:
        bench.names["one.example.org"] = ("192.0.2.1",)
        ONE.write(bench.settings.fleet)
        control = bench.control()
        await control.boot()
        before = control.memory
        bench.names["one.example.org"] = ("192.0.2.2",)
        await control.resolve_again()
        latest = control.memory.config_version
        before.write(bench.settings.state / "router.json")  # as if it had died before it could remember
        bench.names["one.example.org"] = ("192.0.2.3",)
        control = bench.control()
        await control.boot()
        assert control.memory.config_version > latest

    asyncio.run(scenario())


def test_an_order_survives_a_restart_and_a_damaged_memory_is_told(bench: Bench) -> None:
    async def scenario() -> None:
        document = fleet(site("aws"), site("gcp", url="http://192.0.2.2:1"))
        bench.names |= {"192.0.2.1": ("192.0.2.1",), "192.0.2.2": ("192.0.2.2",)}
        document.write(bench.settings.fleet)
        control = bench.control()
        await control.boot()
        await control.override("aws", SiteState.DRAINING)
        control = bench.control()
        await control.boot()
        assert [entry.name for entry in control.plan.sites if entry.draining] == ["aws"]
        with pytest.raises(RouterError, match="no site that takes requests"):
            await control.override("gcp", SiteState.DRAINING)
        assert control.memory.overrides == {"aws": SiteState.DRAINING}
        (bench.settings.state / "router.json").write_text("")
        control = bench.control()
        await control.boot()
        assert any(event["event"] == "memory_damaged" for event in control.events.recent)

    asyncio.run(scenario())


def test_a_full_disk_leaves_what_runs_as_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        document = fleet(
            site("aws"), site("gcp", 1, url="http://192.0.2.2:1"), models={"digits": (DIGEST,), "x": (DIGEST,)}
        )
        bench.names |= {"192.0.2.1": ("192.0.2.1",), "192.0.2.2": ("192.0.2.2",)}
        document.write(bench.settings.fleet)
        control = bench.control()
        await control.boot()
        written = bench.endpoints()
        left = 1

        def full(path: Path, data: bytes, mode: int = 0o644) -> None:
            nonlocal left
            if left == 0:
                left = 5  # room again for what was there before
                raise OSError(errno.ENOSPC, "No space left on device")
            left -= 1
            write_file(path, data, mode)

        monkeypatch.setattr(files, "write_file", full)
        with pytest.raises(OSError, match="No space"):
            await control.replan({"aws": SiteHealth(up=False)}, Load())
        assert bench.endpoints() == written
        monkeypatch.setattr(files, "write_file", write_file)
        await control.replan({"aws": SiteHealth(up=False)}, Load())
        assert bench.endpoints() == written[::-1]

    asyncio.run(scenario())


def test_a_fleet_that_met_a_full_disk_is_taken_at_the_next_look(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bench.names |= {"one.example.org": ("192.0.2.1",), "two.example.org": ("192.0.2.2",)}
        ONE.write(bench.settings.fleet)
        control = bench.control()
        await control.boot()
        TWO.write(bench.settings.fleet)

        def full(path: Path, data: bytes, mode: int = 0o644) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(files, "write_file", full)
        with pytest.raises(OSError, match="No space"):
            await control.look_at_file()
        assert control.fleet == ONE
        monkeypatch.setattr(files, "write_file", write_file)
        await control.look_at_file()
        assert control.fleet == TWO

    asyncio.run(scenario())


def test_a_damaged_last_good_fleet_is_said_together_with_why_it_was_needed(bench: Bench) -> None:
    async def scenario() -> None:
        bench.names["one.example.org"] = ("192.0.2.1",)
        ONE.write(bench.settings.fleet)
        await bench.control().boot()
        bench.settings.fleet.unlink()
        (bench.settings.state / "fleet.json").write_text("[]")
        with pytest.raises(RouterError, match=r"cannot be read.*last good fleet is damaged"):
            await bench.control().boot()

    asyncio.run(scenario())


def test_without_a_last_good_fleet_the_files_own_error_is_raised(bench: Bench) -> None:
    bench.settings.fleet.write_text(json.dumps({"version": 1}))
    with pytest.raises(ContractError, match="is missing"):
        asyncio.run(bench.control().boot())
    replace(ONE, models={}).write(bench.settings.fleet)
    with pytest.raises(RouterError, match="names no model"):
        asyncio.run(bench.control().boot())
    assert list((bench.settings.state / "envoy").iterdir()) == []
