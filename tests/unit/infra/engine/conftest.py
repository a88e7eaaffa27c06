"""A machine with nothing on it but the programs that a test puts there, and a cache of its own."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from trihull_infra.engine import VERSION, installer


@dataclass(frozen=True)
class Machine:
    """`programs` is the only folder on PATH; fake tools append what they were asked to `log`."""

    programs: Path
    log: Path
    cache: Path

    def program(self, name: str, script: str) -> Path:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def pulumi(self, version: str) -> Path:
        return self.program("pulumi", f"echo v{version}")

    def go(self, version: str = "1.26.0", builds: str = VERSION, before_build: str = ":") -> Path:
        """Put a Go there whose `build` makes a `pulumi` that answers as version `builds`."""
        return self.program(
            "go",
            f"""echo "$1" >> {self.log}
case "$1" in
env) echo go{version} ;;
list) echo "go: downloading example.com/a v1.0.0" >&2; echo example.com/a; echo example.com/b ;;
build)
  {before_build}
  while [ "$1" != -o ]; do shift; done
  mkdir -p "$(dirname "$2")"; printf '#!/bin/sh\\necho v{builds}\\n' > "$2"; chmod 755 "$2" ;;
esac""",
        )

    def asked(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "mkdir", "dirname", "chmod", "sleep", "cat"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(installer, "reachable", lambda: False)
    assert os.environ["PATH"] == str(programs)
    yield Machine(programs, tmp_path / "log", tmp_path / "cache")
    for pid in _running(programs):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _running(programs: Path) -> list[int]:
    """The processes of a folder's scripts: what an installation that was killed had started lives on."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if f"{programs}/".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found
