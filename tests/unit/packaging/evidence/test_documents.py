"""The documents of the evidence: the golden ones, valid for others' readers, and the same for equal builds."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests import released
from tests.unit.packaging.conftest import DIGITS
from tests.unit.packaging.test_lock import locked
from trihull_packaging import spec
from trihull_packaging.contents import Package
from trihull_packaging.evidence import gate, model_card, provenance, purls, sbom
from trihull_packaging.evidence.subject import PlatformSubject, Subject
from trihull_packaging.lock import Lock
from trihull_runtime.artifacts.evidence import signing, statement
from trihull_runtime.artifacts.evidence.predicates import GateVerdict, ModelCard
from trihull_runtime.artifacts.evidence.statement import Named, Statement
from trihull_runtime.artifacts.registry.blobs import file_digest
from trihull_runtime.artifacts.registry.layout import INDEX_TYPE, MANIFEST_TYPE
from trihull_runtime.artifacts.registry.protocol import Descriptor

GOLDEN = Path(__file__).parents[3] / "golden" / "packaging"


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    """A release whose digests do not depend on who compressed its layers."""
    made = released.make(tmp_path / "release", attested=False).subject
    return replace(
        made,
        index=Descriptor(INDEX_TYPE, f"sha256:{'a' * 64}", 600),
        platforms={
            platform: PlatformSubject(Descriptor(MANIFEST_TYPE, f"sha256:{digit * 64}", 500), found.packages)
            for digit, (platform, found) in zip("12", made.platforms.items(), strict=True)
        },
    )


def documents(subject: Subject) -> dict[str, dict[str, Any]]:
    return {
        "sbom": sbom.document(subject, "linux/amd64"),
        "provenance": provenance.document(subject),
        "gate": gate.document(subject),
        "model_card": model_card.document(subject),
    }


@pytest.mark.parametrize("name", ["sbom", "provenance", "gate", "model_card"])
def test_the_documents_are_the_golden_ones(subject: Subject, name: str) -> None:
    golden = (GOLDEN / f"evidence_{name}.json").read_text(encoding="utf-8")
    assert json.dumps(documents(subject)[name], indent=2) + "\n" == golden


def test_the_signed_statement_is_the_golden_one(subject: Subject, tmp_path: Path) -> None:
    said = Statement(statement.GATE, (Named(subject.name, subject.index.digest),), gate.document(subject))
    bundle = signing.sign(said.to_bytes(), released.signing_key(tmp_path))
    assert bundle + b"\n" == (GOLDEN / "evidence_bundle.json").read_bytes()


@pytest.mark.parametrize("platform", released.PLATFORMS)
def test_the_bill_of_materials_is_valid_by_the_published_schema(subject: Subject, platform: str) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    document = sbom.document(subject, platform)
    assert validator.validate_str(json.dumps(document)) is None
    assert validator.validate_str(json.dumps({**document, "serialNumber": "7"})) is not None


def test_every_package_is_listed_once_with_url_digest_and_size(subject: Subject) -> None:
    twice = Package("pypi", "NumPy", "2.3.0", "7" * 64, 1)
    platform = subject.platforms["linux/amd64"]
    changed = replace(subject, platforms={"linux/amd64": replace(platform, packages=(*platform.packages, twice))})
    components = sbom.document(changed, "linux/amd64")["components"]
    found = {one["purl"]: one for one in components if "purl" in one}
    assert list(found) == [
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64",
        "pkg:deb/debian/python3.11-minimal@3.11.2-6%2Bdeb12u6?arch=amd64",
        "pkg:pypi/numpy@2.3.0",
        "pkg:pypi/trihull-runtime@0.1.0",
    ]
    assert found["pkg:pypi/numpy@2.3.0"]["properties"] == [{"name": "trihull:size_bytes", "value": "30000001"}]
    assert "hashes" not in found["pkg:pypi/trihull-runtime@0.1.0"]


def test_the_serial_number_follows_from_the_content(subject: Subject) -> None:
    one, other = (sbom.document(subject, platform)["serialNumber"] for platform in released.PLATFORMS)
    assert one != other
    assert one == sbom.document(subject, "linux/amd64")["serialNumber"]


def test_versions_with_an_epoch_keep_their_colon() -> None:
    assert purls.deb("libc", "1:2.3~rc1", "ubuntu", "arm64") == "pkg:deb/ubuntu/libc@1:2.3~rc1?arch=arm64"
    assert purls.pypi("A_b", "1", {"b": "x y", "a": "&"}) == "pkg:pypi/a-b@1?a=%26&b=x%20y"


def test_what_packaging_writes_is_what_the_runtime_reads(subject: Subject) -> None:
    assert GateVerdict.from_value(gate.document(subject)).evaluation == subject.evaluation
    card = ModelCard.from_value(model_card.document(subject))
    assert (card.signature, card.classes) == (subject.manifest.signature, subject.manifest.classes)


def test_the_card_tells_a_person_what_the_model_gives_and_how_good_it_is(subject: Subject) -> None:
    text = model_card.text(subject)
    for said in (
        "# digits 1.0.0",
        "- input `pixels`: FP32, any x 64",
        "| accuracy | 0.9722 | 0.93 | passed |",
        "| f1_macro | 0.9714 |  |  |",
        "compared with the trained one on 967 rows",
    ):
        assert said in text


def test_an_image_is_made_of_the_model_s_files_the_base_and_the_wheels() -> None:
    found = provenance.materials(locked(), spec.load(DIGITS), DIGITS)
    assert found == {
        "file:model.yaml": file_digest(DIGITS / "model.yaml"),
        "file:requirements.txt": file_digest(DIGITS / "requirements.txt"),
        "file:train.py": file_digest(DIGITS / "train.py"),
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64": f"sha256:{'c' * 64}",
        "pkg:pypi/numpy@2.4.6?file_name=numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl": f"sha256:{'b' * 64}",
    }


@pytest.mark.parametrize(
    ("base", "purl"),
    [
        (f"ghcr.example/team/base@sha256:{'7' * 64}",
         f"pkg:oci/base@sha256%3A{'7' * 64}?repository_url=ghcr.example%2Fteam%2Fbase"),
        (f"oci-layout:///home/somebody/base@sha256:{'7' * 64}", f"pkg:oci/base@sha256%3A{'7' * 64}"),
    ],
)  # fmt: skip
def test_a_given_base_is_named_by_its_digest_and_never_by_a_path_of_this_machine(base: str, purl: str) -> None:
    found = provenance.materials(locked(base=base), spec.load(DIGITS), DIGITS)
    assert found[purl] == f"sha256:{'7' * 64}"
    assert not [uri for uri in found if "somebody" in uri]


@pytest.mark.parametrize(("base", "name"), [("ubuntu noble", "ubuntu"), ("host/x@sha256:1", "debian")])
def test_packages_are_those_of_the_base_s_distribution(base: str, name: str) -> None:
    made: Lock = locked(base=base)
    assert provenance.distribution(made) == name


def test_equal_releases_have_equal_evidence_whatever_the_hash_seed_folder_and_clock(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from tests import released\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "made = released.make(folder / 'release', released.signing_key(folder))\n"
        "print(*(found.digest for found in made.release.attestations))"
    )
    seen = set()
    for number in range(2):
        place = tmp_path / f"folder{number}"
        run = subprocess.run(
            [sys.executable, "-c", program, str(place)],
            env={**os.environ, "PYTHONHASHSEED": str(number), "TZ": ("UTC", "Asia/Tokyo")[number]},
            cwd=Path(__file__).parents[4], capture_output=True, text=True, check=True,
        )  # fmt: skip
        seen.add(run.stdout)
    assert len(seen) == 1
    assert len(seen.pop().split()) == 6
