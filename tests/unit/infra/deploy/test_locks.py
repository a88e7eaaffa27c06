import os
import socket
import subprocess
from pathlib import Path

import pytest

from trihull_infra.deploy import locks
from trihull_infra.deploy.locks import Holder

MESSAGE = """
 stderr: error: the stack is currently locked by 2 lock(s). Either wait for the other process(es) to end or delete the
  lock file with `pulumi cancel`.
  file:///state/.pulumi/locks/1.json?no_tmp_dir=true: created by ada@vm (pid 12) at 2026-11-23T00:00:00Z
  s3://bucket/.pulumi/locks/organization/p/s/2.json: created by bob@ci-7 (pid 3) at 2026-11-23T01:00:00Z
"""


@pytest.fixture
def dead() -> int:
    with subprocess.Popen(["/bin/sh", "-c", "exit 0"]) as process:
        process.wait()
    return process.pid


def test_the_engines_message_names_every_holder() -> None:
    first, second = locks.holders(MESSAGE)
    assert first == Holder("ada", "vm", 12, "2026-11-23T00:00:00Z", first.url)
    assert first.url.startswith("file:///state/")
    assert (second.user, second.host, second.pid) == ("bob", "ci-7", 3)
    assert locks.holders("error: something else") == ()


def test_only_a_dead_process_of_this_machine_is_stale(dead: int) -> None:
    here = socket.gethostname()
    assert locks.stale(Holder("ada", here, dead, ""), local_state=True)
    assert not locks.stale(Holder("ada", here, os.getpid(), ""), local_state=True)
    assert not locks.stale(Holder("ada", f"not-{here}", dead, ""), local_state=True)
    assert not locks.stale(Holder("root", here, 1, ""), local_state=True)


def test_a_name_that_many_machines_have_is_believed_of_local_state_only(
    dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    holder = Holder("ada", "localhost", dead, "")
    assert locks.stale(holder, local_state=True)
    assert not locks.stale(holder, local_state=False)


def test_only_a_lock_in_a_folder_is_removed_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a b.json"
    path.touch()
    assert locks.remove(Holder("ada", "vm", 1, "", f"{path.as_uri()}?no_tmp_dir=true"))
    assert not path.exists()
    assert not locks.remove(Holder("ada", "vm", 1, "", "s3://bucket/lock.json"))


def test_the_advice_names_the_holder_and_the_command() -> None:
    text = locks.advice("prod-aws", "stacks/site", (Holder("ada", "vm", 12, "noon"),))
    assert "locked by ada@vm (process 12) since noon" in text
    assert "`pulumi cancel --stack prod-aws` in stacks/site" in text
