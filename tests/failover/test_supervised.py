"""A container's router: its first process starts the control process again, and Envoy never notices."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failover.load import Load
from tests.failover.rig import Router, fleet_of
from tests.failover.standin import StandIn


@pytest.fixture
def supervised(standins: dict[str, StandIn], tmp_path: Path) -> Iterator[Router]:
    router = Router(tmp_path / "router", command=["-m", "trihull_runtime.router.supervised"])
    fleet_of(standins).write(router.fleet_path)
    try:
        router.start()
        yield router
    finally:
        if router.process is not None and router.process.poll() is None:
            router.stop()
        router.close()


def control_of(router: Router) -> int:
    """The process id of the control process, as it says itself."""
    pid = router.events("ready")[-1]["control_pid"]
    assert isinstance(pid, int)
    return pid


def test_a_killed_control_process_is_started_again_and_no_request_is_lost(
    supervised: Router, standins: dict[str, StandIn]
) -> None:
    envoy = supervised.envoy.pid()
    with Load(supervised.url) as load:
        load.wait_site("aws")
        for number in range(2):
            first = control_of(supervised)
            os.kill(first, signal.SIGKILL)
            supervised.wait_event("ready", number + 2)
            assert control_of(supervised) != first
            standins["aws"].down()
            load.wait_site("gcp")
            standins["aws"].up()
            load.wait_site("aws")
    assert load.lost == []
    assert supervised.envoy.pid() == envoy
    assert "started again; Envoy goes on" in supervised.text()


def test_a_stop_is_passed_on_and_ends_everything(supervised: Router) -> None:
    assert supervised.stop() == 0
    assert not supervised.envoy.alive()
    assert "started again" not in supervised.text()


def test_what_cannot_be_used_is_said_once(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIHULL_")}
    done = subprocess.run(
        [sys.executable, "-m", "trihull_runtime.router.supervised"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 64
    assert done.stderr.count("must be set") == 1
