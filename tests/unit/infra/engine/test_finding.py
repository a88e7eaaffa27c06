import importlib.metadata
import json
import os
import re
from pathlib import Path

import pytest

from tests.unit.infra.engine.conftest import Machine
from trihull_infra import engine
from trihull_infra.engine import VERSION, cache, installer, versions
from trihull_infra.errors import EngineError


def silent(_line: str) -> None:
    pass


def test_the_sdk_the_go_module_and_the_settings_name_one_version() -> None:
    go_mod = (versions.DATA / "go.mod").read_text()
    assert importlib.metadata.version("pulumi") == VERSION
    assert re.search(rf"^require github\.com/pulumi/pulumi/pkg/v3 v{re.escape(VERSION)}$", go_mod, re.MULTILINE)


@pytest.mark.parametrize("version", [VERSION, f"v{VERSION}", "3.250.1", "3.251.0", "3.999.0-alpha.1"])
def test_an_engine_that_is_not_older_is_accepted(version: str) -> None:
    assert versions.accepted(version)


@pytest.mark.parametrize("version", ["3.249.9", "2.999.0", "4.0.0", "", "latest", "3.250", "3.250.0.1"])
def test_an_engine_that_is_older_or_of_another_major_version_is_not_accepted(version: str) -> None:
    assert not versions.accepted(version)


def test_nothing_is_found_on_an_empty_machine(machine: Machine) -> None:
    assert engine.find(silent) is None
    assert not machine.cache.exists()


def test_the_engine_on_path_comes_first(machine: Machine) -> None:
    machine.go()
    engine.ensure(silent)
    path = machine.pulumi("3.251.2")
    assert engine.ensure(silent) == engine.Engine(path, "3.251.2", "path")


def test_an_old_engine_on_path_is_named_and_not_used(machine: Machine) -> None:
    path = machine.pulumi("3.100.0")
    machine.go()
    lines: list[str] = []
    found = engine.ensure(lines.append)
    assert found.source == "build"
    assert f"not used: {path} is Pulumi 3.100.0, and trihull needs {VERSION} or newer, below 4.0.0" in lines


def test_without_engine_and_go_one_message_says_what_was_tried_and_what_to_install(machine: Machine) -> None:
    machine.pulumi("3.100.0")
    with pytest.raises(EngineError) as caught:
        engine.ensure(silent)
    assert caught.value.exit_code == 69
    message = str(caught.value)
    for part in ("is Pulumi 3.100.0", "installer cannot be reached", "no go on PATH", f"Install Pulumi {VERSION}"):
        assert part in message
    assert f"Go {versions.go_required()} or newer" in message
    assert "\n" not in message


def test_an_old_go_is_named(machine: Machine) -> None:
    path = machine.go(version="1.19.8")
    with pytest.raises(EngineError, match=rf"{re.escape(str(path))} is Go 1\.19\.8"):
        engine.ensure(silent)


def test_what_was_built_is_found_again_and_not_built_twice(machine: Machine) -> None:
    machine.go()
    first = engine.ensure(silent)
    assert (first.source, first.version) == ("build", VERSION)
    assert first.path.is_relative_to(machine.cache)
    second = engine.ensure(silent)
    assert (second.path, second.source) == (first.path, "cache")
    assert machine.asked() == ["env", "env", "list", "build"]  # its version, its caches, the source, the build


def test_progress_says_what_goes_on(machine: Machine) -> None:
    machine.go()
    lines: list[str] = []
    found = engine.ensure(lines.append)
    assert lines[-1] == f"Pulumi {VERSION} is at {found.path}"
    assert any("building Pulumi" in line for line in lines)


def test_a_folder_without_a_receipt_is_not_used_and_is_replaced(machine: Machine) -> None:
    machine.go()
    half = cache.folder() / "bin" / "pulumi"
    half.parent.mkdir(parents=True)
    half.write_text("half")
    assert engine.find(silent) is None
    assert engine.ensure(silent).source == "build"
    assert half.read_text() != "half"


def test_a_receipt_without_the_engine_is_not_used(machine: Machine) -> None:
    machine.go()
    engine.ensure(silent).path.unlink()
    assert engine.find(silent) is None
    assert engine.ensure(silent).source == "build"


def test_an_engine_that_was_changed_is_refused(machine: Machine) -> None:
    machine.go()
    path = engine.ensure(silent).path
    path.write_text(path.read_text().replace("echo", "eche"))
    with pytest.raises(EngineError, match=r"is not the file that was installed.*remove .* and try again"):
        engine.find(silent)
    with pytest.raises(EngineError):
        engine.ensure(silent)


def test_an_engine_that_was_only_touched_is_used_and_its_receipt_renewed(machine: Machine) -> None:
    machine.go()
    path = engine.ensure(silent).path
    before = json.loads((cache.folder() / "receipt.json").read_text())["files"]["bin/pulumi"]
    os.utime(path, (1, 1))
    found = engine.find(silent)
    assert found is not None
    after = json.loads((cache.folder() / "receipt.json").read_text())["files"]["bin/pulumi"]
    assert before["sha256"] == after["sha256"]
    assert before["stat"] != after["stat"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1, "files": []}', '{"files": {"bin/pulumi": 1}}'])
def test_an_unreadable_receipt_names_the_folder_to_remove(machine: Machine, content: str) -> None:
    machine.go()
    engine.ensure(silent)
    (cache.folder() / "receipt.json").write_text(content)
    with pytest.raises(EngineError, match=re.escape(f"remove {cache.folder()}")):
        engine.find(silent)


@pytest.mark.parametrize(("script", "reason"), [("exit 3", "failed with exit code 3"), ("builds", "not answer as")])
def test_a_build_that_fails_leaves_nothing_behind(machine: Machine, script: str, reason: str) -> None:
    if script == "builds":
        machine.go(builds="3.1.0")
    else:
        machine.go(before_build=script)
    with pytest.raises(EngineError, match=reason):
        engine.ensure(silent)
    assert [path.name for path in machine.cache.rglob("*") if path.is_file()] == [f".lock-{cache.folder().name}"]
    machine.go()
    assert engine.ensure(silent).source == "build"


def test_the_installer_is_asked_before_go(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(root: Path, _report: engine.finding.Report, _timeout_s: float) -> None:
        (root / "bin").mkdir()
        for name in ("pulumi", "pulumi-language-python"):
            (root / "bin" / name).write_text(f"#!/bin/sh\necho v{VERSION}\n")
            (root / "bin" / name).chmod(0o755)

    machine.go()
    monkeypatch.setattr(installer, "reachable", lambda: True)
    monkeypatch.setattr(installer, "install", install)
    found = engine.ensure(silent)
    assert found.source == "installer"
    assert machine.asked() == []
    (found.folder / "pulumi-language-python").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(EngineError, match="pulumi-language-python is not the file that was installed"):
        engine.find(silent)


def test_when_the_installer_fails_that_is_said_and_go_builds(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(root: Path, _report: engine.finding.Report, _timeout_s: float) -> None:
        (root / "rest").write_text("of a broken download")
        raise EngineError("the official installer of Pulumi failed with exit code 22: not found")

    machine.go()
    monkeypatch.setattr(installer, "reachable", lambda: True)
    monkeypatch.setattr(installer, "install", install)
    lines: list[str] = []
    assert engine.ensure(lines.append).source == "build"
    assert "the official installer of Pulumi failed with exit code 22: not found" in lines
    assert not list(machine.cache.rglob("rest"))


def test_without_a_home_go_keeps_its_caches_below_ours_and_they_go(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    for variable in ("GOPATH", "GOMODCACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GOCACHE", str(machine.log.parent / "chosen"))
    seen = machine.log.parent / "seen"
    make = 'mkdir -p "$GOMODCACHE/a"; echo x > "$GOMODCACHE/a/file"; chmod 500 "$GOMODCACHE/a"'
    machine.go(before_build=f'{make}; echo "$GOPATH $GOMODCACHE $GOCACHE" > {seen}')
    engine.ensure(silent)
    work = machine.cache / "engine" / ".go"
    assert seen.read_text().split() == [str(work / "path"), str(work / "modules"), str(machine.log.parent / "chosen")]
    assert not work.exists()


def test_caches_that_the_user_has_are_used_and_stay(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = machine.log.parent / "modules"
    modules.mkdir()
    monkeypatch.setenv("GOMODCACHE", str(modules))
    monkeypatch.delenv("GOCACHE", raising=False)
    seen = machine.log.parent / "seen"
    machine.go(before_build=f'echo x > "$GOMODCACHE/file"; echo "$GOMODCACHE $GOCACHE" > {seen}')
    engine.ensure(silent)
    assert seen.read_text().split() == [str(modules), str(machine.cache / "engine" / ".go" / "build")]
    assert (modules / "file").exists()
    assert not (machine.cache / "engine" / ".go").exists()
