"""A newcomer's project outside the checkout: from the wheels of `make dist` to a destroyed deploy, as it is written.

HOME, state and caches of its own are empty; only the engine and uv's downloads are the machine's.
"""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uv

from tests.e2e.test_main_job import processes_of
from trihull_infra import engine
from trihull_runtime import contract

ROOT = Path(__file__).parents[2]
UV = uv.find_uv_bin()
pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Newcomer:
    """Someone with an empty home and a project, and what is installed there by its requirements.txt."""

    home: Path
    project: Path
    environ: dict[str, str]

    def run(self, *command: str | Path) -> str:
        return run(*command, cwd=self.project, environ=self.environ)

    def document(self, name: str) -> Any:
        return json.loads((self.project / "stacks/environments" / name).read_text())


def run(*command: str | Path, cwd: Path, environ: dict[str, str]) -> str:
    result = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=1500
    )
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


def commands(readme: str, heading: str) -> list[str]:
    """Return the lines of the shell block below a heading."""
    block = readme.partition(f"## {heading}\n")[2].partition("```sh\n")[2].partition("```")[0]
    return block.splitlines()


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    home = tmp_path_factory.mktemp("newcomer")
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "LANG"))}
    downloads = subprocess.run([UV, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    environ = {
        **kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "UV_CACHE_DIR": downloads, "NO_COLOR": "1",
        "PATH": os.pathsep.join([str(engine.ensure().folder), os.environ["PATH"]]),
    }  # fmt: skip
    dist = home / "dist"
    run("sh", ".ci/dist", dist, "--wheel", cwd=ROOT, environ={**environ, "UV": UV})
    run(UV, "venv", "--quiet", "--python", sys.executable, home / "tools", cwd=home, environ=environ)
    wheels = sorted(dist.glob("*.whl"))
    constraints = ("--constraint", dist / "constraints.txt")
    install = (UV, "pip", "install", "--quiet", "--python", home / "tools/bin/python")
    run(*install, *constraints, *wheels, cwd=home, environ=environ)
    run(home / "tools/bin/trihull", "init", "models", cwd=home, environ=environ)
    for file in wheels:  # the project has copies of its own
        file.unlink()
    project = home / "models"
    run(UV, "venv", "--quiet", "--python", sys.executable, ".venv", cwd=project, environ=environ)
    locked = (UV, "pip", "install", "--quiet", "--python", ".venv/bin/python", "--requirements", "requirements.txt")
    run(*locked, cwd=project, environ=environ)
    environ["PATH"] = os.pathsep.join([str(project / ".venv/bin"), environ["PATH"]])
    made = Newcomer(home, project, environ)
    try:
        yield made
    finally:
        subprocess.run([project / ".venv/bin/trihull", "emulators", "stop"], cwd=project, env=environ, check=False)


def test_the_readme_of_the_project_leads_from_doctor_to_destroy(newcomer: Newcomer) -> None:
    place = newcomer.run("python", "-c", "import trihull_infra; print(trihull_infra.__file__)").strip()
    assert Path(place).is_relative_to(newcomer.project), "the project's own installation, and not the checkout"
    steps = commands((newcomer.project / "README.md").read_text(), "Try it on this machine")
    assert re.search(r"pip install -r requirements.txt", steps[0])  # done above, by uv
    down = steps.index("trihull destroy local && trihull emulators stop")
    assert json.loads(newcomer.run("trihull", "doctor", "local", "--json"))["verdict"] == "ok"
    preview = json.loads(newcomer.run("trihull", "preview", "local", "--json"))
    assert all(step["ok"] for step in preview["steps"])

    for step in steps[1:down]:
        newcomer.run("sh", "-ec", step)
    fleet = contract.Fleet.read(newcomer.project / "stacks/environments/local.fleet.json")
    release = contract.Release.read(newcomer.project / "build/releases/digits/release.json")
    assert fleet.models == {"digits": (release.release_digest,)}
    routers = newcomer.document("local.routers.json")["routers"]
    assert set(routers) == {"aws", "gcp", "azure"}
    split = "build/releases/digits/test_split.json"
    newcomer.run("trihull", "predict", "digits", "--url", routers["gcp"], "--rows", split, "--check")
    with urllib.request.urlopen(f"{routers['aws']}/v2/models/digits/ready", timeout=20) as response:
        assert response.status == 200

    newcomer.run("sh", "-ec", steps[down])
    assert processes_of(newcomer.home) == []
