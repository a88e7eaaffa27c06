"""`.ci/install`: it waits for the package manager's locks, whichever they are, and for nothing else.

The messages of the fake apt-get are those of apt 2.6.1 (Debian 12), seen with each lock held by another process.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = {
    "lists": (
        "update",
        "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 18109 (apt-get)\n"
        "E: Unable to lock directory /var/lib/apt/lists/",
    ),
    "archives": (
        "install",
        "E: Could not get lock /var/cache/apt/archives/lock. It is held by process 18477 (apt-get)\n"
        "E: Unable to lock directory /var/cache/apt/archives/",
    ),
    "dpkg, at once": (
        "install",
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 18341 (unattended-upgr)\n"
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
    ),
    "dpkg, after apt waited": (
        "install",
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
    ),
}


@dataclass(frozen=True)
class Machine:
    """A folder in the place of `/`, and a fake apt-get that appends its operations to `log`."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def policy(self) -> Path:
        return self.root / "usr/sbin/policy-rc.d"

    def apt_get(self, operation: str, message: str, times: int) -> None:
        """Make `operation` fail with `message` the first `times` times."""
        program = self.root / "programs/apt-get"
        program.parent.mkdir(exist_ok=True)
        (self.root / "message").write_text(f"{message}\n")
        program.write_text(f"""#!/bin/sh
case "$*" in update*) operation=update ;; install*) operation=install ;; esac
[ "$operation" = update ] || [ -x {self.policy} ] || {{ echo 'services would start' >&2; exit 1; }}
echo "$operation" >> {self.log}
if [ "$operation" = {operation} ] && [ "$(grep -cx {operation} {self.log})" -le {times} ]; then
  cat {self.root}/message >&2
  exit 100
fi
""")
        program.chmod(0o755)

    def install(self, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.start(**environ)()

    def start(self, **environ: str) -> Callable[[], subprocess.CompletedProcess[str]]:
        path = f"{self.root / 'programs'}:/usr/bin:/bin"
        own = {"PATH": path, "TRIHULL_INSTALL_ROOT": str(self.root), "TRIHULL_LOCK_WAIT_S": "60"}
        process = subprocess.Popen(
            ["sh", ".ci/install", "page tests", "chromium"],
            cwd=ROOT, env={**os.environ, **own, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

        def ended() -> subprocess.CompletedProcess[str]:
            output, errors = process.communicate(timeout=60)
            return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

        return ended

    def operations(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    return Machine(tmp_path)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_held_lock_is_waited_for_and_its_holder_named_once(machine: Machine, lock: str) -> None:
    operation, message = LOCKS[lock]
    failures = 2 if lock == "lists" else 1
    machine.apt_get(operation, message, failures)
    result = machine.install()
    assert result.returncode == 0, result.stderr
    assert machine.operations().count(operation) == failures + 1
    first = message.splitlines()[0].removeprefix("E: ")
    assert result.stderr.count(f"page tests: waiting for the package manager (at most 60 s): {first}\n") == 1
    assert not machine.policy.exists()


def test_the_wait_has_an_end_that_names_the_holder(machine: Machine) -> None:
    operation, message = LOCKS["lists"]
    machine.apt_get(operation, message, times=1000)
    result = machine.install(TRIHULL_LOCK_WAIT_S="1")
    assert result.returncode == 69
    assert "gave up after 1 s: Could not get lock /var/lib/apt/lists/lock. It is held by process 18109" in result.stderr
    assert "TRIHULL_LOCK_WAIT_S" in result.stderr
    assert "install" not in machine.operations()


@pytest.mark.parametrize("operation", ["update", "install"])
def test_another_failure_is_shown_and_not_tried_again(machine: Machine, operation: str) -> None:
    machine.apt_get(operation, "E: Unable to locate package chromium", times=1)
    result = machine.install()
    assert result.returncode == 69
    assert "E: Unable to locate package chromium" in result.stderr
    assert machine.operations().count(operation) == 1
    assert not machine.policy.exists()


def test_a_machines_own_rule_for_services_stays_and_that_of_a_killed_run_goes(machine: Machine) -> None:
    machine.apt_get("update", "", times=0)
    machine.policy.write_text("#!/bin/sh\nexit 0\n")
    machine.policy.chmod(0o755)
    assert machine.install().returncode == 0
    assert machine.policy.read_text() == "#!/bin/sh\nexit 0\n"
    machine.policy.write_text("#!/bin/sh\n# trihull: installs start no service\nexit 101\n")
    assert machine.install().returncode == 0
    assert not machine.policy.exists()


def test_two_installations_take_turns(machine: Machine) -> None:
    machine.apt_get("update", "", times=0)
    lock = machine.root / "run/lock/trihull-install"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = machine.install(TRIHULL_LOCK_WAIT_S="1")
        assert refused.returncode == 69
        assert "page tests: waiting for another installation by trihull" in refused.stderr
        assert machine.operations() == []
        ended = machine.start()
        fcntl.flock(held, fcntl.LOCK_UN)
    assert ended().returncode == 0
    assert machine.operations() == ["update", "install"]


def test_the_real_apt_get_waits_for_a_lock_that_another_process_holds(machine: Machine, tmp_path: Path) -> None:
    """The machine's apt-get with a state of its own; installing nothing, so that nothing of the machine is changed."""
    real = shutil.which("apt-get")
    assert real is not None, "make test needs apt-get: bases are made from Debian packages"
    for name in ("state/lists/partial", "cache/archives/partial", "archive", "programs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "state/status").touch()
    (tmp_path / "archive/Packages").touch()
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{tmp_path}/archive ./\n")
    (tmp_path / "apt.conf").write_text(f"""\
Dir::State "{tmp_path}/state"; Dir::State::status "{tmp_path}/state/status"; Dir::Cache "{tmp_path}/cache";
Dir::Etc::sourcelist "{tmp_path}/sources.list"; Dir::Etc::sourceparts "/dev/null"; APT::Sandbox::User "";
""")
    (tmp_path / "programs/apt-get").write_text(f'#!/bin/sh\n[ "$1" != update ] || exec {real} "$@"\n')
    (tmp_path / "programs/apt-get").chmod(0o755)
    with (tmp_path / "state/lists/lock").open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        refused = machine.install(APT_CONFIG=str(tmp_path / "apt.conf"), TRIHULL_LOCK_WAIT_S="1")
        assert refused.returncode == 69
        assert f"It is held by process {os.getpid()}" in refused.stderr
        ended = machine.start(APT_CONFIG=str(tmp_path / "apt.conf"))
        fcntl.lockf(held, fcntl.LOCK_UN)
    assert ended().returncode == 0


def test_nothing_else_in_ci_installs_packages() -> None:
    """One place knows how to wait: every tool script goes through it."""
    for script in sorted((ROOT / ".ci").iterdir()):
        text = script.read_text()
        assert script.name == "install" or "apt-get update" not in text, script
        assert script.name == "install" or "apt-get install" not in text, script
    for name in ("browser-tools", "container-tools", "router-tools"):
        assert "sh .ci/install " in (ROOT / ".ci" / name).read_text()
