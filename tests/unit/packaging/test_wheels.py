"""Which wheels an image gets: by the index's own answers where it is asked, by rules where it is not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from trihull_packaging import closures, processes, resolver, wheels
from trihull_packaging.errors import StepError
from trihull_packaging.lock import LockedWheel, requirements
from trihull_packaging.wheels import Wanted

CLOSURE = f"""\
numpy==2.4.6 ; python_version < '4' \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
    # via x
"""


def entry(name: str, version: str, *files: tuple[str, str]) -> str:
    rows = ", ".join(
        f'{{ url = "https://index.invalid/{file}", size = 5, hashes = {{ sha256 = "{digest * 64}" }} }}'
        for file, digest in files
    )
    return f'[[packages]]\nname = "{name}"\nversion = "{version}"\nwheels = [{rows}]\n'


def answering(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[dict[str, str]]:
    """Let uv give these answers, one a call; returns what each call was asked: lines, exclusions, options."""
    calls: list[dict[str, str]] = []

    def run(arguments: Sequence[str | Path], *, cwd: Path, **_: Any) -> str:
        texts = {name: (cwd / name).read_text(encoding="utf-8") for name in ("wheels.in", "excludes.txt")}
        calls.append({**texts, "options": " ".join(map(str, arguments))})
        (cwd / "pylock.toml").write_text(answers[len(calls) - 1], encoding="utf-8")
        return ""

    monkeypatch.setattr(processes, "run", run)
    return calls


def test_the_wheel_that_fits_best_is_locked_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (
        ("numpy-2.4.6-cp311-cp311-manylinux_2_17_aarch64.whl", "b"),
        ("numpy-2.4.6-cp311-cp311-manylinux_2_28_aarch64.whl", "a"),
        ("numpy-2.4.6-cp311-cp311-manylinux_2_35_aarch64.whl", "c"),
        ("numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl", "d"),
        ("numpy-2.4.6-py3-none-any.whl", "e"),
    )
    calls = answering(monkeypatch, entry("numpy", "2.4.6", *files))
    (found,) = wheels.resolve(Wanted(CLOSURE), "3.11", "arm64", tmp_path).wheels
    assert (found.file, found.sha256, found.size_bytes) == (files[1][0], "a" * 64, 5)
    assert calls[0]["wheels.in"] == 'numpy==2.4.6; python_version < "4"\n'
    assert "--python-platform aarch64-manylinux_2_31 --only-binary :all: --torch-backend cpu" in calls[0]["options"]


def test_a_file_that_trihulls_own_lock_does_not_know_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, entry("numpy", "2.4.6", ("numpy-2.4.6-py3-none-any.whl", "f")))
    with pytest.raises(StepError, match=r"numpy-2\.4\.6-py3-none-any\.whl: the index's file has SHA-256 f{64}"):
        wheels.resolve(Wanted(CLOSURE), "3.11", "amd64", tmp_path)


def test_a_package_without_a_wheel_for_the_machine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, entry("numpy", "2.4.6", ("numpy-2.4.6-cp312-cp312-manylinux_2_28_x86_64.whl", "a")))
    with pytest.raises(StepError, match=r"numpy 2\.4\.6 has no wheel for Python 3\.11 on amd64"):
        wheels.resolve(Wanted(CLOSURE), "3.11", "amd64", tmp_path)


CPU = entry("xgboost-cpu", "3.4.1", ("xgboost_cpu-3.4.1-py3-none-manylinux_2_28_x86_64.whl", "c"))
GPU = entry("xgboost", "3.4.1", ("xgboost-3.4.1-py3-none-manylinux_2_28_x86_64.whl", "d"))


def test_a_package_with_a_gpus_libraries_is_replaced_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = answering(monkeypatch, CPU)
    found = wheels.resolve(Wanted("", ("XGBoost>=3,<4",)), "3.11", "amd64", tmp_path)
    assert calls[0]["wheels.in"] == "xgboost-cpu<4,>=3\n"
    assert calls[0]["excludes.txt"] == "xgboost\n"
    assert found.substitutions == {"xgboost": "xgboost-cpu"}


def test_it_is_replaced_where_only_a_dependency_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shap = entry("shap", "1.0", ("shap-1.0-py3-none-any.whl", "e"))
    calls = answering(monkeypatch, shap + GPU, shap + CPU)
    found = wheels.resolve(Wanted("", ("shap",)), "3.11", "amd64", tmp_path)
    assert calls[1]["wheels.in"] == "shap\nxgboost-cpu==3.4.1\n"
    assert calls[1]["excludes.txt"] == "xgboost\n"
    assert [wheel.name for wheel in found.wheels] == ["shap", "xgboost-cpu"]
    assert found.substitutions == {"xgboost": "xgboost-cpu"}


def test_with_a_gpu_it_stays_and_the_runtime_is_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = entry("onnxruntime-gpu", "1.32.0", ("onnxruntime_gpu-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl", "c"))
    calls = answering(monkeypatch, GPU + runtime)
    asked = Wanted("onnxruntime==1.32.0 \\\n    --hash=sha256:00\n", ("xgboost",), gpu=True)
    found = wheels.resolve(asked, "3.11", "amd64", tmp_path)
    assert calls[0]["wheels.in"] == "onnxruntime-gpu==1.32.0\nxgboost\n"
    assert "--torch-backend" not in calls[0]["options"]
    assert found.substitutions == {"onnxruntime": "onnxruntime-gpu"}


def test_an_installer_is_left_no_choice() -> None:
    assert requirements([*WHEELS]) == f"numpy==2.4.6 --hash=sha256:{'a' * 64}\n"


WHEELS = (LockedWheel("numpy", "2.4.6", "numpy-2.4.6-py3-none-any.whl", "a" * 64, None),)


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_tags_begin_with_the_newest_glibc_that_images_have_and_end_with_pure_python(architecture: str) -> None:
    found = [str(tag) for tag in wheels.tags("3.11", architecture)]
    machine = resolver.MACHINES[architecture]
    assert found[0] == f"cp311-cp311-manylinux_2_31_{machine}"
    assert found[-1] == "py30-none-any"
    assert f"cp311-cp311-manylinux2014_{machine}" in found
    assert (f"cp311-cp311-manylinux1_{machine}" in found) == (architecture == "amd64")


@pytest.mark.timeout(120)
def test_the_servers_own_closure_resolves_for_both_architectures_by_the_index(tmp_path: Path) -> None:
    found: dict[str, Mapping[str, str]] = {}
    for architecture in ("amd64", "arm64"):
        (tmp_path / architecture).mkdir()
        resolved = wheels.resolve(Wanted(closures.read("server")), "3.11", architecture, tmp_path / architecture)
        found[architecture] = {wheel.name: wheel.file for wheel in resolved.wheels}
    assert set(found["amd64"]) == set(found["arm64"])
    assert "x86_64" in found["amd64"]["onnxruntime"]
    assert "aarch64" in found["arm64"]["onnxruntime"]
