import io
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from trihull_packaging import builder
from trihull_packaging.builder import Options, RouterImage
from trihull_packaging.command import command
from trihull_packaging.errors import SpecError, ToolError
from trihull_packaging.progress import Progress
from trihull_runtime.contract.release import Attestation
from trihull_runtime.errors import InputError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("arguments", [[], ["model", "--router"]])
def test_a_model_or_the_router_must_be_asked_for(arguments: list[str]) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert "give either a model's folder or --router" in result.output


def test_a_key_for_the_router_is_used_and_not_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Path | None] = []

    def package_router(target: Path, options: Options, progress: Progress) -> RouterImage:
        used.append(options.sign)
        return RouterImage(f"sha256:{'a' * 64}", ("linux/amd64",))

    monkeypatch.setattr(builder, "package_router", package_router)
    key = tmp_path / "key.pem"
    assert CliRunner().invoke(command, ["--router", "--sign", str(key)]).exit_code == 0
    assert used == [key]


def test_a_key_for_the_router_that_cannot_be_read_builds_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command, ["--router", "--sign", str(tmp_path / "key.pem"), "--output", str(tmp_path / "out")]
    )
    assert isinstance(result.exception, InputError)
    assert "the key cannot be read" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_bad_model_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("name: 7\n", encoding="utf-8")
    result = CliRunner().invoke(command, [str(tmp_path), "--output", str(tmp_path / "out")])
    assert isinstance(result.exception, SpecError)
    assert {path.name for path in tmp_path.iterdir()} == {"model.yaml"}


def test_json_says_where_the_image_lies_and_what_each_step_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def package_router(target: Path, options: Options, progress: Progress) -> RouterImage:
        assert options == Options(base=None, locked=True)
        progress.seconds["layers"] = 1.5
        evidence = (Attestation("https://cyclonedx.org/bom", f"sha256:{'b' * 64}"),)
        return RouterImage(f"sha256:{'a' * 64}", ("linux/amd64",), evidence)

    monkeypatch.setattr(builder, "package_router", package_router)
    result = CliRunner().invoke(command, ["--router", "--output", str(tmp_path), "--json", "--locked"])
    assert json.loads(result.stdout) == {
        "output": str(tmp_path),
        "index_digest": f"sha256:{'a' * 64}",
        "platforms": ["linux/amd64"],
        "attestations": [{"predicate_type": "https://cyclonedx.org/bom", "digest": f"sha256:{'b' * 64}"}],
        "seconds": {"layers": 1.5},
    }


def test_what_the_system_refuses_is_one_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def package_router(target: Path, options: Options, progress: Progress) -> RouterImage:
        raise OSError(28, os.strerror(28), str(target / "blob"))

    monkeypatch.setattr(builder, "package_router", package_router)
    result = CliRunner().invoke(command, ["--router", "--output", str(tmp_path)])
    assert isinstance(result.exception, ToolError)
    assert str(result.exception) == f"{tmp_path}/blob: No space left on device; nothing was released"


def test_steps_are_plain_lines_where_nobody_watches() -> None:
    times = iter([10.0, 12.5])
    stream = io.StringIO()
    progress = Progress(stream, lambda: next(times))
    with progress.step("train", "train.py") as note:
        note.text = "done well"
    assert stream.getvalue().splitlines() == ["train: train.py", "train        2.5 s  done well"]
    assert progress.seconds == {"train": 2.5}


def test_a_step_on_a_terminal_ends_as_one_line_with_its_time() -> None:
    stream = Terminal()
    with Progress(stream, lambda: 0.0).step("train", "train.py"):
        pass
    assert stream.getvalue().splitlines()[-1].endswith("train        0.0 s")


def test_a_failed_step_is_not_said_to_be_done() -> None:
    stream = io.StringIO()
    progress = Progress(stream, lambda: 0.0)
    with pytest.raises(ToolError), progress.step("train", "train.py"):
        raise ToolError("no network")
    assert stream.getvalue() == "train: train.py\n"
    assert progress.seconds == {}
