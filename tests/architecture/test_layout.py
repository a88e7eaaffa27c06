"""The tree is the architecture: what may lie where, and what must never lie somewhere."""

import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from trihull_infra.cloud import Cloud

ROOT = Path(__file__).parents[2]
TOP = {"infra", "packaging", "runtime", "stacks", "tests", "docs", "pyproject.toml", "uv.lock", "Makefile", "LICENSE"}
PROVIDER_FILES = {
    "__init__.py", "provider.py", "spec.py", "connection.py", "network.py", "keys.py", "logs.py", "cluster.py",
    "pools.py", "registry.py", "bucket.py", "identity.py", "dns.py", "describe.py",
}  # fmt: skip
OWN_FILES = {  # what one cloud has and the others have no place for
    Cloud.AWS: {"policies.py", "upgrades.py"},
    Cloud.AZURE: {"arm.py", "endpoints.py", "roles.py"},
}


def tracked() -> list[Path]:
    """Files of the repository, committed or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_the_top_level_holds_only_what_the_layout_names() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in found if not name.startswith(".") and not name.endswith(".md")} == TOP


def test_packaging_never_shadows_pypi_s_packaging() -> None:
    shadows = {"__init__.py", "conftest.py"}
    assert not [path for path in tracked() if path.parent == ROOT / "packaging" and path.name in shadows]
    assert not [path for path in tracked() if path.is_relative_to(ROOT / "packaging") and path.name.startswith("test_")]


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in tracked() if path.suffix == ".py" and path.is_relative_to(ROOT / "tests")}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_every_folder_with_tests_is_run_by_make_test_or_has_a_target_of_its_own() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    found = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    own = {"container", "page"}
    assert found == {Path(folder).name for folder in configured} | own
    assert own <= set(re.findall(r"^test-(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert all(f"make test-{folder}\n" in (ROOT / ".ci" / "run").read_text() for folder in own)


def test_tests_lie_only_in_tests() -> None:
    found = [path for path in tracked() if re.fullmatch(r"(test_.*|conftest)\.py", path.name)]
    assert found
    assert not [path for path in found if not path.is_relative_to(ROOT / "tests")]


@pytest.mark.parametrize("cloud", list(Cloud))
def test_every_provider_is_a_package_of_the_same_files(cloud: Cloud) -> None:
    folder = ROOT / "infra/src/trihull_infra/providers" / cloud
    assert {path.name for path in folder.glob("*.py")} == PROVIDER_FILES | OWN_FILES.get(cloud, set())


def test_a_module_stays_small_enough_to_be_read_at_once() -> None:
    sources = [path for path in tracked() if path.suffix == ".py"]
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources}
    assert not {name: lines for name, lines in long.items() if lines > 350}


def test_nothing_names_a_path_of_the_machine_it_was_written_on() -> None:
    places = re.compile(rb"(?<![\w./-])/(work|root|farm)/")
    texts = [path for path in tracked() if path.suffix not in {".onnx", ".png"} and path.name != Path(__file__).name]
    assert not [str(path) for path in texts if places.search(path.read_bytes())]


def test_every_test_has_a_name_of_its_own(request: pytest.FixtureRequest) -> None:
    """Of tests with one name, pytest-xdist runs one, and says nothing of the others."""
    counts = Counter(item.nodeid for item in request.session.items)
    assert not {name: count for name, count in counts.items() if count > 1}
