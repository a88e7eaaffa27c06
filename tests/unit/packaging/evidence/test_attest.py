"""The step: what is stored beside the image and what release.json lists, without a change to the image."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests import released
from tests.unit.packaging.conftest import DIGITS
from tests.unit.packaging.test_lock import locked
from trihull_packaging import spec
from trihull_packaging.base.image import Base
from trihull_packaging.base.interpreter import Interpreter
from trihull_packaging.contents import Package
from trihull_packaging.evidence import provenance, sbom
from trihull_packaging.oci.layers import Layer
from trihull_packaging.steps import attest
from trihull_packaging.steps.index import Indexed
from trihull_packaging.steps.layers import Environment, PackedModel
from trihull_packaging.steps.parity import Answers, Difference
from trihull_runtime.artifacts.evidence.statement import GATE, MODEL_CARD, PROVENANCE, SBOM, SIGNATURE

KINDS = [SBOM, SBOM, PROVENANCE, GATE, MODEL_CARD]


@pytest.mark.parametrize("signed", [False, True])
def test_all_evidence_is_listed_and_stored(tmp_path: Path, signed: bool) -> None:
    made = released.make(tmp_path / "release", released.signing_key(tmp_path) if signed else None)
    assert [found.predicate_type for found in made.release.attestations] == KINDS + [SIGNATURE] * signed
    subjects = [*(found.manifest.digest for found in made.subject.platforms.values()), made.digest]
    stored = {found.digest for subject in subjects for found in made.registry.referrers(subject)}
    assert stored == {found.digest for found in made.release.attestations}


def test_no_digest_of_an_image_depends_on_its_evidence(tmp_path: Path) -> None:
    digests = {
        released.make(tmp_path / "plain").digest,
        released.make(tmp_path / "none", attested=False).digest,
        released.make(tmp_path / "signed", released.signing_key(tmp_path)).digest,
    }
    assert len(digests) == 1


def test_attesting_again_adds_nothing(tmp_path: Path) -> None:
    made = released.make(tmp_path / "release")
    before = sorted(path.name for path in made.registry.folder.rglob("*"))
    assert attest.run(made.registry, made.subject, None) == made.release.attestations
    assert sorted(path.name for path in made.registry.folder.rglob("*")) == before


def test_an_unsigned_build_does_not_import_cryptography() -> None:
    program = "import sys, trihull_packaging.steps.attest; print('cryptography' in sys.modules, 'dxf' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]


def test_the_subject_is_gathered_from_what_the_steps_gave(tmp_path: Path) -> None:
    made = released.make(tmp_path / "release", attested=False).subject
    platforms = {platform: found.packages for platform, found in made.platforms.items()}

    def layer(packages: tuple[Package, ...] = ()) -> Layer:
        return Layer(Path("x"), made.index.digest, made.index.digest, 1, "x", packages=packages)

    def environment(packages: tuple[Package, ...]) -> Environment:
        compiler = Interpreter(("python3",), {}, "3.11", ("key",))
        base = Base((layer(packages[:2]),), Path(), "3.11", "amd64", "debian bookworm", compiler)
        return Environment(base, layer(packages[2:3]), layer(packages[3:]))

    subject = attest.subject_of(
        spec.load(DIGITS), DIGITS, locked(),
        {platform: environment(packages) for platform, packages in platforms.items()},
        PackedModel(layer(), Path("model.onnx"), b"", made.manifest, made.release_digest),
        Indexed(made.index, {platform: found.manifest for platform, found in made.platforms.items()}),
        Answers(Path(), {"test": {"rows": [[0]] * 360}}),
        {"test": Difference(360, 0, 1e-7, 3), "edge": Difference(607, 0, 2.5e-7, 5)},
        made.evaluation,
    )  # fmt: skip
    assert (subject.platforms, subject.parity, subject.test_rows) == (made.platforms, made.parity, made.test_rows)
    assert subject.lock_digest == locked().digest()
    assert "file:train.py" in subject.materials
    assert subject.version == importlib.metadata.version("trihull-packaging")


def test_the_router_s_evidence_is_made_of_its_lock_and_layers_and_names_no_model(tmp_path: Path) -> None:
    made = released.make_router(tmp_path / "router").subject
    packages = {platform: found.packages for platform, found in made.platforms.items()}

    def layer(packages: tuple[Package, ...]) -> Layer:
        return Layer(Path("x"), made.index.digest, made.index.digest, 1, "x", packages=packages)

    def environment(packages: tuple[Package, ...]) -> Environment:
        compiler = Interpreter(("python3",), {}, "3.11", ("key",))
        base = Base((layer(packages[:2]),), Path(), "3.11", "amd64", "debian bookworm", compiler)
        return Environment(base, layer(packages[2:3]), layer(packages[3:]))

    indexed = Indexed(made.index, {platform: found.manifest for platform, found in made.platforms.items()})
    below = {platform: environment(found) for platform, found in packages.items()}
    subject = attest.router_subject_of(locked(), below, indexed, "0.1.0")
    assert (subject.platforms, subject.name, subject.image_version) == (made.platforms, "trihull-router", "0.1.0")
    assert subject.lock_digest == locked().digest()
    assert subject.materials
    assert not [uri for uri in subject.materials if uri.startswith("file:")]
    bill = sbom.document(subject, "linux/amd64")
    assert not [one for one in bill["components"] if one["type"] == "machine-learning-model"]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    stated = provenance.document(subject)["buildDefinition"]["externalParameters"]
    assert stated == {"name": "trihull-router", "version": "0.1.0", "platforms": list(released.PLATFORMS)}
