"""What a new project's requirements.txt installs: the trihull that wrote it, from where that came."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from trihull_infra.cloud import Cloud
from trihull_infra.init import requirements, writing
from trihull_infra.init.command import command
from trihull_runtime.errors import UsageError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RUNTIME = "trihull_runtime-9.8.7-py3-none-any.whl"
WHEELS = ("trihull_packaging-9.8.7-py3-none-any.whl", "trihull_infra-9.8.7-py3-none-any.whl")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "some wheels"
    folder.mkdir()
    for name in (RUNTIME, *WHEELS, "constraints.txt", "trihull-9.8.7-py3-none-any.whl"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site folder before all others, in which trihull is installed as 9.8.7; no origin is recorded."""
    folder = tmp_path / "site"
    for name in requirements.EXTRAS:
        info = folder / f"{name.replace('-', '_')}-9.8.7.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 9.8.7\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder


def record(site: Path, origins: Mapping[str, object]) -> None:
    """Record where packages came from, as PEP 610 has it."""
    for name, origin in origins.items():
        file = site / f"{name.replace('-', '_')}-9.8.7.dist-info" / "direct_url.json"
        file.write_text(json.dumps(origin))


def wheel(file: Path) -> dict[str, object]:
    return {"url": file.as_uri(), "archive_info": {"hashes": {"sha256": "0" * 64}}}


def project(tmp_path: Path, *options: str) -> tuple[Path, str, str]:
    """Return a new project, the lines of its requirements.txt without comments, and what `init` said."""
    result = CliRunner().invoke(command, [str(tmp_path / "models"), *options])
    assert result.exit_code == 0, (result.output, result.exception)
    text = (tmp_path / "models/requirements.txt").read_text()
    return tmp_path / "models", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE), result.output


VENDORED = f"""\
--constraint vendor/constraints.txt
./vendor/{RUNTIME}[server,router,artifacts,aws,gcp,azure,cli]
./vendor/{WHEELS[0]}
./vendor/{WHEELS[1]}[aws,gcp,azure,emulators]
"""


@pytest.mark.usefixtures("site")
def test_wheels_of_a_named_folder_come_into_the_project(tmp_path: Path, wheels: Path) -> None:
    models, lines, said = project(tmp_path, "--wheels", str(wheels))
    assert lines == VENDORED
    assert {file.name for file in (models / "vendor").iterdir()} == {RUNTIME, *WHEELS, "constraints.txt"}
    assert all((models / "vendor" / name).read_text() == name for name in (RUNTIME, *WHEELS))
    assert "commit them" in said
    assert "trihull-infra 9.8.7" in (models / "README.md").read_text()


def test_wheel_files_that_trihull_was_installed_from_come_into_the_project(
    tmp_path: Path, wheels: Path, site: Path
) -> None:
    files = zip(requirements.EXTRAS, (RUNTIME, *WHEELS), strict=True)
    record(site, {name: wheel(wheels / file) for name, file in files})
    assert project(tmp_path)[1] == VENDORED


@pytest.mark.usefixtures("site")
def test_without_constraints_none_are_named(tmp_path: Path, wheels: Path) -> None:
    (wheels / "constraints.txt").unlink()
    assert project(tmp_path, "--wheels", str(wheels))[1] == VENDORED.partition("\n")[2]


@pytest.mark.usefixtures("site")
def test_a_folder_without_the_installed_version_is_refused_and_nothing_is_written(tmp_path: Path, wheels: Path) -> None:
    (wheels / RUNTIME).rename(wheels / "trihull_runtime-9.8.6-py3-none-any.whl")
    result = CliRunner().invoke(command, [str(tmp_path / "models"), "--wheels", str(wheels)])
    assert isinstance(result.exception, UsageError)
    assert f"{wheels}: expected the wheels" in str(result.exception)
    assert f"{RUNTIME} is not there" in str(result.exception)
    assert "make dist" in str(result.exception)
    assert WHEELS[0] not in str(result.exception)
    assert not (tmp_path / "models").exists()


def test_a_git_commit_is_pinned_with_its_subdirectory(tmp_path: Path, site: Path) -> None:
    vcs = {"vcs": "git", "requested_revision": "main", "commit_id": COMMIT}
    url = "https://git.example.com/acme/trihull"
    folders = {name: name.removeprefix("trihull-") for name in requirements.EXTRAS}
    record(site, {name: {"url": url, "vcs_info": vcs, "subdirectory": folder} for name, folder in folders.items()})
    _, lines, said = project(tmp_path)
    assert lines == (
        f"trihull-runtime[server,router,artifacts,aws,gcp,azure,cli] @ git+{url}@{COMMIT}#subdirectory=runtime\n"
        f"trihull-packaging @ git+{url}@{COMMIT}#subdirectory=packaging\n"
        f"trihull-infra[aws,gcp,azure,emulators] @ git+{url}@{COMMIT}#subdirectory=infra\n"
    )
    assert "git commit" in said


@pytest.mark.parametrize("origin", ["index", "checkout", "wheels that are gone", "one wheel and an index"])
def test_whatever_else_is_pinned_by_version_and_said_to_need_an_index(
    origin: str, tmp_path: Path, site: Path, wheels: Path
) -> None:
    if origin == "checkout":
        record(site, {name: {"url": tmp_path.as_uri(), "dir_info": {"editable": True}} for name in requirements.EXTRAS})
    elif origin == "wheels that are gone":
        record(site, {name: wheel(wheels / "gone" / "x.whl") for name in requirements.EXTRAS})
    elif origin == "one wheel and an index":
        record(site, {"trihull-infra": wheel(wheels / WHEELS[1])})
    models, lines, said = project(tmp_path)
    assert [line.partition("==")[2] for line in lines.splitlines()] == ["9.8.7"] * 3
    assert not (models / "vendor").exists()
    assert "not published yet" in said
    assert "--wheels FOLDER" in said


def test_nothing_is_left_when_a_wheel_cannot_be_read(tmp_path: Path, wheels: Path) -> None:
    needed = requirements.Requirements("9.8.7", (), (wheels / "gone.whl",), "")
    with pytest.raises(UsageError, match="No such file"):
        writing.write(tmp_path / "models", Cloud.AWS, needed)
    assert not (tmp_path / "models").exists()


def test_git_takes_the_wheels_with_the_project(tmp_path: Path, wheels: Path, site: Path) -> None:
    files = zip(requirements.EXTRAS, (RUNTIME, *WHEELS), strict=True)
    record(site, {name: wheel(wheels / file) for name, file in files})
    models, _, _ = project(tmp_path)
    subprocess.run(["git", "init", "--quiet", models], check=True)
    added = subprocess.run(
        ["git", "-C", models, "add", "--all", "--dry-run"], capture_output=True, text=True, check=True
    ).stdout
    assert all(f"'vendor/{name}'" in added for name in (RUNTIME, *WHEELS, "constraints.txt"))


def test_every_job_of_the_workflow_has_the_wheels_before_it_installs_them(tmp_path: Path) -> None:
    models, _, _ = project(tmp_path)
    workflow = yaml.safe_load((models / ".github/workflows/deploy.yaml").read_text())
    assert workflow["env"]["PIP_INDEX_URL"] == "${{ vars.PIP_INDEX_URL }}"
    for job in workflow["jobs"].values():
        steps = [step.get("uses", "") + step.get("run", "") for step in job["steps"]]
        (installs,) = (number for number, step in enumerate(steps) if "pip install --quiet -r requirements.txt" in step)
        assert "actions/checkout" in steps[0]
        assert all("trihull" not in step for step in steps[:installs])
        assert all("working-directory" not in step for step in job["steps"]), "paths count from the top folder"
