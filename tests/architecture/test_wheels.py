"""What is installed is the wheel: each distribution, built, installs into an empty environment and imports alone."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import uv

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = ["trihull-runtime", "trihull-packaging", "trihull-infra"]


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("VIRTUAL_ENV", "PYTHON"))}
    result = subprocess.run([*map(str, command)], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for name in DISTRIBUTIONS:
        run(uv.find_uv_bin(), "build", "--quiet", "--wheel", "--package", name, "--out-dir", folder)
    return folder


def installed(wheels: Path, folder: Path, requirement: str) -> Path:
    """Return the Python of a new environment that holds `requirement` from the wheels."""
    run(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    run(uv.find_uv_bin(), "pip", "install", "--quiet", "--python", python, "--find-links", wheels, requirement)
    return python


@pytest.mark.parametrize(
    ("requirement", "statement"),
    [
        ("trihull-runtime", "import trihull_runtime.contract, trihull_runtime.artifacts.registry.layout"),
        ("trihull-runtime[server]", "import trihull_runtime.server.__main__, onnxruntime"),
        (
            "trihull-runtime[router]",
            "import trihull_runtime.router.__main__, trihull_runtime.router.pages as pages; pages.load_pages()['']",
        ),
        ("trihull-packaging", "import trihull_packaging.command, trihull_packaging.commands"),
    ],
)
@pytest.mark.timeout(300)
def test_a_wheel_installs_and_imports_alone(wheels: Path, tmp_path: Path, requirement: str, statement: str) -> None:
    python = installed(wheels, tmp_path / "venv", requirement)
    run(python, "-I", "-c", statement, cwd=tmp_path)


@pytest.mark.timeout(600)
def test_infra_installs_with_one_cloud_and_its_command_lists_what_it_can_do(wheels: Path, tmp_path: Path) -> None:
    python = installed(wheels, tmp_path / "venv", "trihull-infra[aws,emulators]")
    listed = run(python.parent / "trihull", "--help", cwd=tmp_path)
    assert {"up", "preview", "destroy", "fleet", "emulators", "drill"} <= set(listed.split())


def test_the_base_runtime_has_no_dependency(wheels: Path, tmp_path: Path) -> None:
    python = installed(wheels, tmp_path / "venv", "trihull-runtime")
    listed = run(uv.find_uv_bin(), "pip", "list", "--quiet", "--python", python, "--format", "freeze", cwd=tmp_path)
    assert [line.partition("==")[0] for line in listed.split()] == ["trihull-runtime"]


@pytest.fixture(scope="module")
def offline(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the three wheels, and this one's other packages by a path to them.

    Nothing is fetched, and no editable install is seen: only site folders have their .pth files read.
    """
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    options = ["--quiet", "--offline", "--no-deps", "--python", str(python), "--find-links", str(wheels)]
    run(uv.find_uv_bin(), "pip", "install", *options, *DISTRIBUTIONS)
    purelib = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (purelib / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


@pytest.mark.timeout(600)
def test_a_new_project_is_previewed_by_the_installed_wheels_alone(
    offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIHULL_HOME", str(tmp_path / "home"))
    trihull = offline.parent / "trihull"
    found = run(offline, "-c", "import trihull_infra as it; print(it.__file__)", cwd=tmp_path).strip()
    assert Path(found).is_relative_to(offline.parents[1]), "the wheel and not the checkout"
    run(trihull, "init", "models", cwd=tmp_path)
    project = tmp_path / "models"
    written = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert {".gitignore", ".github/workflows/deploy.yaml", "stacks/environments/environment.schema.json"} <= written
    told = json.loads(run(trihull, "doctor", "local", "--json", cwd=project))
    assert told["verdict"] == "ok"
    try:
        answer = json.loads(run(trihull, "preview", "local", "--json", cwd=project))
    finally:
        run(trihull, "emulators", "stop", cwd=project)
    assert [(step["cloud"], step["step"]) for step in answer["steps"]] == [
        (cloud, "site") for cloud in ("aws", "gcp", "azure")
    ]
    assert all(step["ok"] and step["changes"]["create"] > 20 for step in answer["steps"]), answer
