"""`trihull inspect` on layouts and releases as they lie on disk."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.unit.packaging.inspecting import images
from tests.unit.packaging.inspecting.images import Memory
from trihull_packaging.inspecting import references
from trihull_packaging.inspecting.command import command
from trihull_runtime.artifacts.errors import DeniedError, LayoutError
from trihull_runtime.artifacts.registry.connection import AnsweredError
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest
from trihull_runtime.contract.manifest import DataType, Signature, Tensor, release_digest
from trihull_runtime.contract.release import Evaluation, Gate, Image, Release, ReleasedModel, Verdict
from trihull_runtime.errors import TrihullError, UsageError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def layout(folder: Path, version: str = "1.0.0") -> tuple[Path, str]:
    registry = Memory()
    digest = images.two_platforms(registry, images.parts(version))
    return images.laid_out(registry, folder, digest), digest


def release(folder: Path, version: str = "1.0.0", place: str = "image") -> Path:
    _, digest = layout(folder / "image", version)
    signature = Signature(
        (Tensor("pixels", DataType.FP32, (-1, 64)),), (Tensor("probabilities", DataType.FP32, (-1, 3)),)
    )
    gate = Gate("accuracy", 0.93, 0.95, passed=True)
    Release(
        version=1,
        model=ReleasedModel("digits", version, signature),
        release_digest=release_digest(images.model_files(version)["models/digits/manifest.json"]),
        image=Image(digest, ("linux/amd64", "linux/arm64"), place),
        evaluation=Evaluation({"accuracy": 0.95}, (gate,), Verdict.PASSED),
        attestations=(),
    ).write(folder / "release.json")
    return folder


def test_a_release_a_layout_and_a_reference_name_the_same_image(tmp_path: Path) -> None:
    folder = release(tmp_path / "digits")
    digest = json.loads((folder / "release.json").read_text())["image"]["index_digest"]
    places = [folder, folder / "release.json", folder / "image", f"oci-layout://{folder}/image@{digest}"]
    for place in [*places, f"oci-layout://{folder}/image"]:
        result = run(place, "--json")
        assert result.exit_code == 0, result.output
        facts = json.loads(result.stdout)
        assert (facts["digest"], facts["model"]["version"]) == (digest, "1.0.0")
        assert facts["platforms"][0]["unpacked_bytes"] > 0, "on disk the layers are read"
    assert json.loads(run(folder, "--json").stdout)["evaluation"]["verdict"] == "passed"


def test_a_router_build_is_an_image_without_a_model(tmp_path: Path) -> None:
    registry = Memory()
    made = images.parts()
    made.layers = {"base: 1 package": images.BASE}
    made.config["Labels"] = {
        "org.opencontainers.image.title": "trihull-router",
        "org.opencontainers.image.version": "0.1.0",
    }
    digest = images.two_platforms(registry, made)
    images.laid_out(registry, tmp_path / "image", digest)
    (tmp_path / "router.json").write_text(json.dumps({"version": 1, "index_digest": digest, "layout": "image"}))
    result = run(tmp_path)
    assert result.exit_code == 0
    assert re.search(r"^router +0\.1\.0$", result.output, re.MULTILINE)
    assert re.search(r"^model +none: the router's image$", result.output, re.MULTILINE)
    assert json.loads(run(tmp_path, "--json").stdout)["model"] is None


def test_no_deep_leaves_the_layers_alone_but_says_the_model(tmp_path: Path) -> None:
    folder, _ = layout(tmp_path)
    facts = json.loads(run(folder, "--no-deep", "--json").stdout)
    assert (facts["platforms"][0]["packages"], facts["model"]["name"]) == (None, "digits")


def test_evidence_beside_an_image_is_no_second_image(tmp_path: Path) -> None:
    registry = Memory()
    digest = images.two_platforms(registry)
    evidence = images.attach(registry, digest, "https://slsa.dev/provenance/v1", {})
    images.laid_out(registry, tmp_path, digest, evidence)
    facts = json.loads(run(tmp_path, "--json").stdout)
    assert facts["digest"] == digest
    assert [one["digest"] for one in facts["attestations"]] == [evidence]


def test_a_layout_of_several_images_is_refused_with_the_choice(tmp_path: Path) -> None:
    registry = Memory()
    one, other = (images.two_platforms(registry, images.parts(version)) for version in ("1.0.0", "1.1.0"))
    images.laid_out(registry, tmp_path, one, other, tags={one: "v1\x1b[2J"})
    with pytest.raises(LayoutError) as caught:
        references.open_source(str(tmp_path))
    assert str(caught.value).splitlines() == [
        f"{tmp_path}: holds 2 images; choose one:",
        f"  oci-layout://{tmp_path}@{one}  v1\\x1b[2J",
        f"  oci-layout://{tmp_path}@{other}",
    ]
    assert run(f"oci-layout://{tmp_path}@{other}").exit_code == 0


def test_a_tag_names_an_image_of_a_layout(tmp_path: Path) -> None:
    registry = Memory()
    one, other = (images.two_platforms(registry, images.parts(version)) for version in ("1.0.0", "1.1.0"))
    images.laid_out(registry, tmp_path, one, other, tags={one: "old", other: "new"})
    assert json.loads(run(f"oci-layout://{tmp_path}:new", "--json").stdout)["digest"] == other


def test_two_images_give_their_difference_with_the_files_that_differ(tmp_path: Path) -> None:
    one, other = release(tmp_path / "one"), release(tmp_path / "other", "1.1.0")
    result = run(one, other)
    assert result.exit_code == 0
    assert "files of model digits 1.1.0:\n    changed  models/digits/manifest.json" in result.output
    found = json.loads(run(one, other, "--json").stdout)
    assert set(found) == {"one", "other", "difference"}
    layer = found["difference"]["platforms"][0]["layers"][2]
    assert (layer["kind"], layer["files"]["changed"]) == ("changed", ["models/digits/manifest.json"])
    assert (
        json.loads(run(one, other, "--json", "--no-deep").stdout)["difference"]["platforms"][0]["layers"][2]["files"]
        is None
    )


def test_a_damaged_layer_is_shown_and_fails_the_command(tmp_path: Path) -> None:
    folder, digest = layout(tmp_path)
    manifest = json.loads((folder / "blobs/sha256" / digest[7:]).read_text())["manifests"][0]["digest"]
    layer = json.loads((folder / "blobs/sha256" / manifest[7:]).read_text())["layers"][0]["digest"]
    (folder / "blobs/sha256" / layer[7:]).unlink()
    result = run(folder)
    assert isinstance(result.exception, LayoutError)
    assert "base: 1 package DAMAGED" in result.output
    assert "dependencies" in result.output
    assert str(result.exception).startswith("2 layers are missing or damaged; the first: linux/amd64: layer sha256:")


@pytest.mark.parametrize(
    ("text", "error", "problem"),
    [
        ("nowhere", UsageError, "nor is there such a file or folder"),
        ("registry.test/digits", UsageError, "which image of it"),
        ("oci-layout://nowhere", LayoutError, "not an OCI layout"),
        (".", LayoutError, "is neither a release"),
    ],
)
def test_what_is_no_image_is_refused_with_what_would_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, error: type[Exception], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=problem):
        references.open_source(text)


@pytest.mark.parametrize("place", ["../../elsewhere", "/etc", "", "image/../.."])
def test_a_document_cannot_lead_out_of_its_folder(tmp_path: Path, place: str) -> None:
    folder = release(tmp_path / "digits", place=place)
    with pytest.raises(LayoutError, match="is no folder beside it"):
        references.open_source(str(folder))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"index_digest": 7}', '{"index_digest": "sha256:../x", "layout": "image"}']
)
def test_a_router_document_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "router.json").write_text(text)
    with pytest.raises(LayoutError, match=r"router\.json"):
        references.open_source(str(tmp_path))


@pytest.mark.parametrize("text", ["{", "[]", '{"manifests": 7}', '{"manifests": [7]}', '{"manifests": []}'])
def test_a_layout_s_index_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(LayoutError):
        references.open_source(str(tmp_path))


def test_a_hostile_key_of_a_release_document_reaches_the_terminal_escaped(tmp_path: Path) -> None:
    (tmp_path / "release.json").write_text(json.dumps({"version": 1, "\x1b[2J": 1}))
    result = run(tmp_path)
    assert isinstance(result.exception, LayoutError)
    assert "\\x1b[2J" in str(result.exception)
    assert "\x1b" not in str(result.exception)


def test_the_command_without_a_terminal_is_plain_and_says_errors_in_one_line(tmp_path: Path) -> None:
    folder, _ = layout(tmp_path)
    trihull = [str(Path(sys.executable).parent / "trihull"), "inspect"]
    environment = {**os.environ, "TERM": "xterm-256color"}
    good = subprocess.run([*trihull, folder], capture_output=True, check=True, env=environment)
    assert b"\x1b" not in good.stdout
    assert not any(line.endswith(b" ") for line in good.stdout.splitlines())
    bad = subprocess.run([*trihull, folder, "--platform", "linux/s390x"], capture_output=True, check=False)
    assert bad.returncode == 65
    assert len(bad.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("raised", "exit_code"),
    [
        (AnsweredError("registry.test/x: \x1b[2J answered 404", 404), 69),
        (DeniedError("registry.test/x: \x1b[2J"), 69),
        (LayoutError("registry.test/x: \x1b[2J"), 65),
        (UsageError("\x1b[2J"), 64),
    ],
)
def test_errors_keep_their_exit_codes_and_lose_their_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: TrihullError, exit_code: int
) -> None:
    def read_manifest(registry: LayoutRegistry, reference: str) -> Manifest:
        raise raised

    folder, digest = layout(tmp_path)
    monkeypatch.setattr(LayoutRegistry, "read_manifest", read_manifest)
    result = run(f"oci-layout://{folder}@{digest}")
    assert isinstance(result.exception, TrihullError)
    assert result.exception.exit_code == exit_code
    assert "\\x1b[2J" in str(result.exception)
    assert "\x1b" not in str(result.exception)


def test_evidence_written_by_a_registry_is_found_by_inspect(tmp_path: Path) -> None:
    folder, digest = layout(tmp_path / "image")
    registry = Memory()
    evidence = images.attach(registry, digest, "https://slsa.dev/provenance/v1", {}, signed=True)
    kept = LayoutRegistry(folder)
    for other, data in registry.blobs.items():
        if other != evidence:
            (tmp_path / "blob").write_bytes(data)
            kept.write_blob(Descriptor("x", other, len(data)), tmp_path / "blob")
    kept.write_manifest(Manifest(evidence, registry.types[evidence], registry.blobs[evidence]))
    facts = json.loads(run(folder, "--json").stdout)
    assert [(one["digest"], one["signed"]) for one in facts["attestations"]] == [(evidence, True)]
