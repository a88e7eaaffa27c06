import dataclasses
import json
from pathlib import Path

import pytest

from tests.deployments import STACKS
from trihull_infra import environment
from trihull_infra.deploy import releasing
from trihull_infra.deploy.context import Documents
from trihull_infra.environment import Environment
from trihull_runtime.contract import (
    ContractError,
    EnvironmentReleases,
    Evaluation,
    Gate,
    Image,
    Release,
    ReleasedModel,
    Signature,
    Verdict,
)
from trihull_runtime.contract.manifest import DataType, Tensor, release_digest
from trihull_runtime.errors import InputError

MANIFEST = b'{"any": "bytes"}'
DIGEST = release_digest(MANIFEST)
OTHER = f"sha256:{'b' * 64}"


@pytest.fixture(scope="module")
def local() -> Environment:
    return environment.load("local", STACKS / "environments")


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    (tmp_path / "stacks" / "environments").mkdir(parents=True)
    return Documents(tmp_path / "stacks" / "environments", "local")


def packaged(folder: Path, digest: str = DIGEST, name: str = "digits", verdict: Verdict = Verdict.PASSED) -> Path:
    tensor = Tensor("x", DataType.FP32, (-1, 64))
    gates = (Gate("accuracy", 0.99, 0.5, verdict is Verdict.PASSED),)
    Release(
        version=1,
        model=ReleasedModel(name, "1", Signature((tensor,), (tensor,))),
        release_digest=digest,
        image=Image(digest, ("linux/amd64",), "image"),
        evaluation=Evaluation({"accuracy": 0.5}, gates, verdict),
        attestations=(),
    ).write(folder / "release.json")
    (folder / "image").mkdir()
    (folder / "image" / "index.json").write_text("{}")
    (folder / "model" / name).mkdir(parents=True)
    if digest == DIGEST:
        (folder / "model" / name / "manifest.json").write_bytes(MANIFEST)
    return folder


def router(folder: Path) -> Path:
    (folder / "image").mkdir(parents=True)
    (folder / "image" / "index.json").write_text("{}")
    (folder / "router.json").write_text(json.dumps({"version": 1, "index_digest": OTHER, "layout": "image"}))
    return folder


def test_a_release_is_written_for_every_cloud_with_paths_relative_to_the_document(
    local: Environment, documents: Documents, tmp_path: Path
) -> None:
    model, image = packaged(tmp_path / "build" / "digits"), router(tmp_path / "build" / "router")
    written = releasing.release(local, documents, [model], image)
    assert EnvironmentReleases.read(documents.releases) == written
    assert set(written.models["digits"]) == {"aws", "gcp", "azure"}
    chosen = written.models["digits"]["gcp"]
    assert (chosen.path, chosen.release_digest) == ("../../build/digits/release.json", DIGEST)
    assert written.router is not None
    assert (documents.folder / written.router.layout).resolve() == image / "image"


def test_the_older_release_stays_accepted_until_all_sites_have_changed(
    local: Environment, documents: Documents, tmp_path: Path
) -> None:
    releasing.release(local, documents, [packaged(tmp_path / "old", OTHER)], router(tmp_path / "router"))
    written = releasing.release(local, documents, [packaged(tmp_path / "new")], None)
    assert written.accepted == {"digits": (DIGEST, OTHER)}
    assert written.router is not None
    assert releasing.narrowed(written).accepted == {"digits": (DIGEST,)}
    again = releasing.release(local, documents, [tmp_path / "new"], None)
    assert again == written


def test_other_models_stay_as_they_are(local: Environment, documents: Documents, tmp_path: Path) -> None:
    releasing.release(local, documents, [packaged(tmp_path / "a", OTHER, "letters")], None)
    written = releasing.release(local, documents, [packaged(tmp_path / "b")], None)
    assert sorted(written.models) == ["digits", "letters"]


def test_a_failed_evaluation_is_refused_with_the_gate_it_missed(
    local: Environment, documents: Documents, tmp_path: Path
) -> None:
    folder = packaged(tmp_path / "bad", verdict=Verdict.FAILED)
    with pytest.raises(InputError, match=r"accuracy is 0\.5, at least 0\.99 was asked for"):
        releasing.release(local, documents, [folder], None)
    assert not documents.releases.exists()


def test_two_releases_of_one_model_are_refused(local: Environment, documents: Documents, tmp_path: Path) -> None:
    folders = [packaged(tmp_path / "a"), packaged(tmp_path / "b", OTHER)]
    with pytest.raises(InputError, match="both releases of digits"):
        releasing.release(local, documents, folders, None)
    assert not documents.releases.exists()


def test_a_release_that_is_not_whole_is_refused(local: Environment, documents: Documents, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"release\.json: cannot be read"):
        releasing.release(local, documents, [tmp_path], None)
    folder = packaged(tmp_path / "digits")
    (folder / "model" / "digits" / "manifest.json").write_bytes(b"{}")
    with pytest.raises(ContractError, match=r"manifest\.json: is not the manifest"):
        releasing.release(local, documents, [folder], None)
    (folder / "image" / "index.json").unlink()
    with pytest.raises(InputError, match="no OCI layout"):
        releasing.release(local, documents, [folder], None)
    with pytest.raises(ContractError, match=r"router\.json"):
        releasing.release(local, documents, [], tmp_path)
    assert not documents.releases.exists()


def test_a_router_and_a_model_in_each_others_place_are_told_where_they_belong(
    local: Environment, documents: Documents, tmp_path: Path
) -> None:
    router = tmp_path / "build" / "router"
    router.mkdir(parents=True)
    (router / "router.json").write_text("{}")
    with pytest.raises(InputError, match=rf"is the router's image, not a model's release: say `--router {router}`"):
        releasing.release(local, documents, [router], None)
    model = packaged(tmp_path / "digits")
    with pytest.raises(InputError, match=r"is a model's release, not the router's image: name it without --router"):
        releasing.release(local, documents, [], model)
    assert not documents.releases.exists()


def test_narrowing_keeps_what_any_site_shall_serve(local: Environment, documents: Documents, tmp_path: Path) -> None:
    written = releasing.release(local, documents, [packaged(tmp_path / "digits")], None)
    mixed = dict(written.models["digits"])
    mixed["gcp"] = dataclasses.replace(mixed["gcp"], release_digest=OTHER)
    accepted = {"digits": (DIGEST, OTHER, f"sha256:{'c' * 64}")}
    document = dataclasses.replace(written, models={"digits": mixed}, accepted=accepted)
    assert set(releasing.narrowed(document).accepted["digits"]) == {DIGEST, OTHER}
