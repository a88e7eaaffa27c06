"""`trihull verify`: what may be given to it, what it prints, and the exit code of each end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests import released
from tests.unit.runtime.artifacts.images import make_image
from trihull_packaging.verifying.command import command
from trihull_runtime.artifacts.errors import EvidenceError, LayoutError, RegistryError
from trihull_runtime.artifacts.evidence.statement import GATE, SBOM
from trihull_runtime.contract import ContractError
from trihull_runtime.errors import InputError, TrihullError, UsageError


@pytest.fixture
def made(tmp_path: Path) -> released.Made:
    return released.make(tmp_path / "release", released.signing_key(tmp_path))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def code(result: Result) -> int:
    return result.exception.exit_code if isinstance(result.exception, TrihullError) else result.exit_code


def without_lock(made: released.Made) -> str:
    return f"oci-layout://{made.folder / 'image'}@{made.digest}"


def test_every_form_of_reference_finds_the_image(made: released.Made) -> None:
    made.registry.write_manifest(made.registry.read_manifest(made.digest), "v1")
    layout = made.folder / "image"
    for given in (made.folder, made.folder / "release.json", layout, f"oci-layout://{layout}", without_lock(made),
                  f"oci-layout://{layout}:v1"):  # fmt: skip
        result = run(given)
        assert result.exception is None, f"{given}: {result.output}"
        assert result.output.startswith(f"oci-layout://{layout}@{made.digest}\nok      digest      ")


def test_a_line_for_each_link_and_those_not_looked_at(made: released.Made, tmp_path: Path) -> None:
    lines = run(made.folder).output.splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [
        ["ok", name] for name in ("digest", "platforms", "release", "provenance", "sbom", "gate", "card", "document")
    ] + [["-", "signature"]]
    assert lines[-1].endswith("not looked at: give --key")
    lines = run(made.folder, "--require", "gate, sbom", "--key", tmp_path / "key1.pub").output.splitlines()
    assert f"ok      signature   by {tmp_path / 'key1.pub'} over {made.digest}" in lines
    assert "-       provenance  not asked for" in lines


def test_a_broken_link_is_named_after_all_are_printed(made: released.Made) -> None:
    made.remove(SBOM)
    made.remove(GATE)
    result = run(without_lock(made))
    assert isinstance(result.exception, EvidenceError)
    assert code(result) == 3
    assert str(result.exception).endswith("; broken too: gate")
    assert "sbom does not hold: linux/amd64: there is none" in str(result.exception)
    assert [line.split()[1] for line in result.output.splitlines() if line.startswith("BROKEN")] == ["sbom", "gate"]


def test_a_router_build_says_what_holds_and_that_it_has_no_model(tmp_path: Path) -> None:
    made = released.make_router(tmp_path / "router", released.signing_key(tmp_path))
    (made.folder / "model.lock").write_text("another one")
    for given in (made.folder / "image", f"oci-layout://{made.folder / 'image'}@{made.digest}"):
        lines = run(given).output.splitlines()[1:]
        assert [line.split()[:2] for line in lines[:-1]] == [
            ["ok", name] for name in ("digest", "platforms", "router", "provenance", "sbom")
        ] + [["-", "signature"]]
        assert lines[-1] == "the router's image: it holds no model, so it has no release, gate, card"
    result = run(made.folder, "--key", tmp_path / "key1.pub", "--json")
    value = json.loads(result.output)
    assert (value["kind"], value["holds"], code(result)) == ("router", False, 3)
    assert [link["name"] for link in value["links"] if not link["holds"]] == ["provenance"]  # the lock beside it
    assert value["links"][-1]["detail"] == "router.json agrees, 4 attestations"


def test_a_broken_router_build_exits_3_and_names_the_link(tmp_path: Path) -> None:
    made = released.make_router(tmp_path / "router")
    made.remove(SBOM)
    for given in (made.folder, made.folder / "router.json"):
        result = run(given)
        assert code(result) == 3
        broken = [line.split()[1] for line in result.output.splitlines() if line.startswith("BROKEN")]
        assert broken == ["sbom", "document"]
    (made.folder / "router.json").write_text('{"version": 1, "index_digest": "sha256:7", "layout": "image"}')
    assert isinstance(run(made.folder).exception, LayoutError)


def test_json_has_the_same_facts(made: released.Made) -> None:
    made.remove(GATE)
    result = run(without_lock(made), "--json")
    value = json.loads(result.output)
    assert (value["holds"], value["digest"], code(result)) == (False, made.digest, 3)
    assert [link["name"] for link in value["links"] if not link["holds"]] == ["gate"]


def test_another_key_is_not_enough_but_one_of_two_is(made: released.Made, tmp_path: Path) -> None:
    released.signing_key(tmp_path, 2)
    assert code(run(made.folder, "--key", tmp_path / "key2.pub")) == 3
    both = ("--key", tmp_path / "key2.pub", "--key", tmp_path / "key1.pub")
    assert code(run(made.folder, *both)) == 0


def test_the_lock_beside_a_release_must_be_the_one_it_was_made_from(made: released.Made) -> None:
    (made.folder / "model.lock").write_text("{}")
    result = run(made.folder)
    assert "provenance does not hold: it was made from the lock sha256:dddd" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["{release}", "--require", "luck"], UsageError, "--require: luck: unknown; known: digest"),
        (["{release}", "--require", "signature"], UsageError, "give the public key with --key"),
        (["{release}", "--key", "{release}/none.pub"], InputError, "the key cannot be read"),
        (["{release}/../nothing-here"], UsageError, "nor is there such a file or folder"),
        (["not a reference"], UsageError, "is no reference to an image"),
        (["localhost:1/digits"], UsageError, "which image of it"),
        (["{release}/model"], LayoutError, "is neither a release"),
        (["oci-layout:///nowhere@sha256:" + "a" * 64], LayoutError, "is not an OCI layout"),
        (["{release}/bad/release.json"], ContractError, "is not valid JSON"),
    ],
)
def test_bad_input_is_told_apart(
    made: released.Made, arguments: list[str], error: type[TrihullError], said: str
) -> None:
    for name in ("bad", "model"):
        (made.folder / name).mkdir()
    (made.folder / "bad" / "release.json").write_text("{")
    result = run(*(argument.format(release=made.folder) for argument in arguments))
    assert isinstance(result.exception, error), result.output
    assert code(result) in (64, 65)
    with pytest.raises(error, match=said):
        raise result.exception


@pytest.mark.parametrize("layout", ["../elsewhere", "/etc", ""])
def test_a_document_cannot_point_out_of_its_folder(made: released.Made, layout: str) -> None:
    file = made.folder / "release.json"
    value = json.loads(file.read_text())
    value["image"]["layout"] = layout
    file.write_text(json.dumps(value))
    result = run(made.folder)
    assert isinstance(result.exception, LayoutError)
    assert "is no folder beside it" in str(result.exception)


def test_a_layout_of_several_images_asks_which(made: released.Made) -> None:
    other = make_image(made.folder / "image", [])
    result = run(made.folder / "image")
    assert isinstance(result.exception, LayoutError)
    assert f"@{other}" in str(result.exception)
    assert f"@{made.digest}" in str(result.exception)


def test_a_registry_that_cannot_be_reached_is_no_broken_link(monkeypatch: pytest.MonkeyPatch) -> None:
    from trihull_runtime.artifacts.registry.distribution import DistributionRegistry

    def refuse(*_: object) -> None:
        raise RegistryError("localhost:1/digits: cannot be reached")

    monkeypatch.setattr(DistributionRegistry, "read_manifest", refuse)
    result = run(f"localhost:1/digits@sha256:{'a' * 64}")
    assert code(result) == 69
    assert result.output == ""


def test_verifying_a_release_on_disk_loads_neither_pydantic_nor_rich_nor_a_client(made: released.Made) -> None:
    program = (
        "import sys\nfrom trihull_runtime import cli\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code, end\n"
        "print(sorted({'pydantic', 'rich', 'requests', 'packaging'} & set(sys.modules)))"
    )
    arguments = [sys.executable, "-c", program, "verify", str(made.registry.folder.parent)]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
