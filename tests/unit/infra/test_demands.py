"""What an environment demands of a release, and what it says when that is not shown."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import released
from tests.released import Made, signing_key
from trihull_infra import demands, environment
from trihull_infra.cloud import Cloud
from trihull_infra.demands import ReleasesSpec
from trihull_infra.deploy import publishing, releasing
from trihull_infra.deploy.context import Documents
from trihull_infra.environment import Environment
from trihull_infra.errors import SpecError
from trihull_runtime.artifacts.evidence.statement import GATE
from trihull_runtime.artifacts.registry import blobs
from trihull_runtime.contract.release import Evaluation, Gate, Verdict

ENVIRONMENTS = Path(__file__).parents[3] / "stacks" / "environments"
FAILED = Evaluation({"accuracy": 0.5}, (Gate("accuracy", 0.93, 0.5, False),), Verdict.FAILED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The environment's folder, with two keys in it."""
    for number in (1, 2):
        signing_key(tmp_path / "environments" / "keys", number)
    return tmp_path / "environments"


@pytest.fixture
def made(tmp_path: Path, folder: Path) -> Made:
    return released.make(tmp_path / "release", signing_key(folder / "keys"))


def check(made: Made, folder: Path, protect: bool = False, **demanded: Any) -> None:
    spec = ReleasesSpec.model_validate(demanded)
    demands.check(spec, protect, "prod", folder, made.folder / "release.json", made.release)


def refused(made: Made, folder: Path, protect: bool = False, **demanded: Any) -> str:
    with pytest.raises(SpecError) as caught:
        check(made, folder, protect, **demanded)
    assert caught.value.exit_code == 65
    return str(caught.value)


ASKED = [{"require_gate": True}, {"signed_by": ("keys/key2.pub", "keys/key1.pub")}]


@pytest.mark.parametrize("demanded", [{}, *ASKED])
def test_a_passed_and_signed_gate_meets_every_demand(made: Made, folder: Path, demanded: dict[str, Any]) -> None:
    check(made, folder, **demanded)
    check(made, folder, protect=True, **demanded)


def test_nothing_is_demanded_unless_somebody_said_so(made: Made, folder: Path) -> None:
    made.remove(GATE)
    check(made, folder)
    check(made, folder, protect=True, require_gate=False)
    assert "(" + str(folder / "prod.yaml") + ": protect: true)" in refused(made, folder, protect=True)


@pytest.mark.parametrize("demanded", ASKED)
def test_a_release_without_a_gate_is_refused_with_what_to_do(
    made: Made, folder: Path, demanded: dict[str, Any]
) -> None:
    made.remove(GATE)
    said = refused(made, folder, **demanded)
    assert f"{made.folder / 'release.json'}: digits may not be served in prod" in said
    assert f"there is none for {made.digest}" in said
    assert "package it again with `trihull package MODEL_DIR" in said
    assert ("--sign KEY" in said) == ("signed_by" in demanded)


def test_a_gate_that_was_not_passed_is_refused(tmp_path: Path, folder: Path) -> None:
    made = released.make(tmp_path / "failed", evaluation=FAILED)
    assert "accuracy is 0.5, below 0.93" in refused(made, folder, require_gate=True)


def test_a_gate_that_nobody_of_ours_signed_is_refused(tmp_path: Path, made: Made, folder: Path) -> None:
    assert "signed by another key" in refused(made, folder, signed_by=("keys/key2.pub",))
    unsigned = released.make(tmp_path / "unsigned")
    check(unsigned, folder, require_gate=True)
    assert "it is not signed" in refused(unsigned, folder, signed_by=("keys/key1.pub",))


def test_a_gate_of_another_image_is_refused(tmp_path: Path, folder: Path) -> None:
    made, other = released.make(tmp_path / "a", attested=False), released.make(tmp_path / "b", version="2.0.0")
    value = next(found for found in other.release.attestations if found.predicate_type == GATE)
    for path in (other.folder / "image" / "blobs" / "sha256").iterdir():
        blobs.put_bytes(made.registry.folder, f"sha256:{path.name}", path.read_bytes())
    made.registry.write_manifest(other.registry.read_manifest(value.digest))
    assert f"there is none for {made.digest}" in refused(made, folder, require_gate=True)


def test_a_layout_that_is_not_there_is_told(made: Made, folder: Path) -> None:
    (made.folder / "image" / "index.json").unlink()
    assert "is not an OCI layout" in refused(made, folder, require_gate=True)


def test_a_key_that_cannot_be_read_is_told_by_its_key_in_the_file(made: Made, folder: Path) -> None:
    said = refused(made, folder, signed_by=("keys/none.pub",))
    assert said.startswith(f"{folder / 'prod.yaml'}: releases.signed_by: {folder / 'keys/none.pub'}: the key cannot")
    assert "is a private key" in refused(made, folder, signed_by=("keys/key1.pem",))


def local(folder: Path, releases: object) -> Environment:
    value = yaml.safe_load((ENVIRONMENTS / "local.yaml").read_text())
    (folder / "local.yaml").write_text(yaml.safe_dump({**value, "releases": releases}))
    return environment.load("local", folder)


def test_an_environment_says_what_it_demands(folder: Path) -> None:
    assert local(folder, {"signed_by": ["keys/key1.pub"]}).releases == ReleasesSpec.model_validate(
        {"signed_by": ("keys/key1.pub",)}
    )
    assert environment.load("local", ENVIRONMENTS).releases == ReleasesSpec.model_validate({})


@pytest.mark.parametrize(
    ("releases", "said"),
    [
        ({"require_gate": "yes"}, "releases.require_gate: expected true or false"),
        ({"signed_by": "keys/release.pub"}, "releases.signed_by: expected a list of public keys"),
        ({"require_gates": True}, "releases.require_gates: "),
        ({"require_gate": False, "signed_by": ["a"]}, "releases: expected no signed_by where require_gate is false"),
    ],
)
def test_a_demand_of_another_form_is_refused(folder: Path, releases: object, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        local(folder, releases)


def test_releasing_and_publishing_refuse_it_before_anything_is_written(made: Made, folder: Path) -> None:
    demanding, documents = local(folder, {"require_gate": True}), Documents(folder, "local")
    written = releasing.release(demanding, documents, [made.folder], None)
    assert [source.digest for source in publishing.images(demanding, written, Cloud.AWS, folder)] == [made.digest]
    made.remove(GATE)
    with pytest.raises(SpecError, match="may not be served in local"):
        list(publishing.images(demanding, written, Cloud.AWS, folder))
    documents.releases.unlink()
    with pytest.raises(SpecError, match="may not be served in local"):
        releasing.release(demanding, documents, [made.folder], None)
    assert not documents.releases.exists()
