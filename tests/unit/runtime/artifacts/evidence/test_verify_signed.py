"""The chain with keys: only what one of them signed counts, over this digest."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests import released
from tests.released import Made, public_key, signing_key
from tests.unit.runtime.artifacts.evidence.test_attached import store
from tests.unit.runtime.artifacts.evidence.test_verify import OTHER, Failing, blob, broken, look
from trihull_packaging.evidence import gate as gates
from trihull_runtime.artifacts.errors import EvidenceError
from trihull_runtime.artifacts.evidence import signing, verify
from trihull_runtime.artifacts.evidence.counting import gather
from trihull_runtime.artifacts.evidence.statement import GATE, SIGNATURE
from trihull_runtime.artifacts.evidence.verify import Link, Policy
from trihull_runtime.contract.release import Evaluation, Gate, Verdict


@pytest.fixture
def signed(tmp_path: Path) -> Made:
    return released.make(tmp_path / "release", signing_key(tmp_path))


def test_a_signed_release_holds_and_says_who_signed(signed: Made, tmp_path: Path) -> None:
    report = look(signed, public_key(tmp_path, 2), public_key(tmp_path, 1))
    assert broken(report) == {}
    details = {link.name: link.detail for link in report.links}
    assert details["signature"] == f"by {tmp_path / 'key1.pub'} over {signed.digest}"
    assert details["gate"] == "passed: accuracy 0.9722 >= 0.93"
    assert details["sbom"] == "linux/amd64 4 packages, linux/arm64 4 packages"


def test_a_signed_release_holds_without_a_key_too(signed: Made) -> None:
    assert broken(look(signed)) == {}


def test_a_signature_by_another_key_is_named(signed: Made, tmp_path: Path) -> None:
    report = look(signed, public_key(tmp_path, 2))
    assert set(broken(report)) == {"signature", "provenance", "sbom", "gate", "card"}
    assert report.broken[0].detail.startswith(f"it is signed by another key ({public_key(tmp_path).hint})")
    with pytest.raises(EvidenceError, match=r"signature does not hold: .*; broken too: provenance, sbom, gate, card"):
        report.check()


def test_a_signature_over_another_digest_does_not_count(tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    made, other = released.make(tmp_path / "a", key), released.make(tmp_path / "b", key, version="2.0.0")
    made.remove(SIGNATURE)
    (over_other,) = [
        one for one in gather(other.registry, [other.digest])[0][other.digest]
        if one.statement and one.statement.predicate_type == SIGNATURE
    ]  # fmt: skip
    layer = json.loads(other.registry.read_manifest(over_other.digest).data)["layers"][0]["digest"]
    store(made, blob(other, layer).read_bytes(), signing.BUNDLE_TYPE)
    found = broken(look(made, public_key(tmp_path), document=False))
    assert found == {"signature": f"it is about {other.digest}, not about {made.digest}"}


def test_an_unsigned_release_is_told_apart(tmp_path: Path) -> None:
    made = released.make(tmp_path / "release")
    found = broken(look(made, public_key(tmp_path)))
    assert found["signature"].startswith("there is none")
    assert found["gate"].startswith("it is not signed; given: ")


def test_unsigned_statements_cannot_outweigh_signed_ones(signed: Made, tmp_path: Path) -> None:
    failed = Evaluation({"accuracy": 0.5}, (Gate("accuracy", 0.93, 0.5, False),), Verdict.FAILED)
    signed.attach(signed.subject.index, GATE, gates.document(replace(signed.subject, evaluation=failed)))
    assert broken(look(signed, public_key(tmp_path))) == {}


def test_a_signature_is_not_asked_of_nobody(signed: Made) -> None:
    report = verify.verify(signed.registry, signed.digest, Policy(frozenset({"signature"})))
    assert broken(report) == {"signature": "no public key was given to verify with"}


def test_the_gate_alone_is_looked_at_without_a_layer(signed: Made, tmp_path: Path) -> None:
    failing = Failing(signed.registry.folder)
    held = Link("gate", True, "passed: accuracy 0.9722 >= 0.93")
    assert verify.gate(failing, signed.release, ()) == held
    assert verify.gate(failing, signed.release, (public_key(tmp_path),)) == held
    assert not verify.gate(failing, signed.release, (public_key(tmp_path, 2),)).holds
    assert not verify.gate(failing, replace(signed.release, release_digest=OTHER), ()).holds
    signed.remove(GATE)
    assert not verify.gate(failing, signed.release, ()).holds
