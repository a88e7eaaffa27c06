import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from trihull_infra.emulators.plugins import tls
from trihull_infra.emulators.plugins.provider import Naming, RefusedError, Urn
from trihull_infra.emulators.plugins.tls import TlsProvider
from trihull_infra.emulators.plugins.values import UNKNOWN, Secret, plain

NOW = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)


def urn(token: str) -> Urn:
    return Urn("local-x", "p", token, "n", f"urn:pulumi:local-x::p::{token}::n")


def made(token: str, inputs: dict[str, Any], now: datetime.datetime = NOW) -> dict[str, Any]:
    found = plain(TlsProvider(lambda: now).create(urn(token), inputs, False, 0)[1])
    assert isinstance(found, dict)
    return found


def authority(key: str) -> dict[str, Any]:
    inputs = {
        "privateKeyPem": key,
        "isCaCertificate": True,
        "allowedUses": ["cert_signing"],
        "validityPeriodHours": 100,
    }
    return made(tls.SELF_SIGNED, {**inputs, "subject": {"commonName": "authority", "organization": "trihull"}})


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ({"algorithm": "RSA"}, rsa.RSAPrivateKey),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P256"}, ec.EllipticCurvePrivateKey),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P384"}, ec.EllipticCurvePrivateKey),
        ({"algorithm": "ECDSA"}, ec.EllipticCurvePrivateKey),
        ({"algorithm": "ED25519"}, ed25519.Ed25519PrivateKey),
    ],
)
def test_a_key_can_be_used_and_its_private_forms_are_secret(inputs: dict[str, Any], kind: type) -> None:
    _, outputs = TlsProvider().create(urn(tls.KEY), inputs, False, 0)
    assert isinstance(outputs["privateKeyPem"], Secret)
    assert isinstance(outputs["privateKeyPemPkcs8"], Secret)
    key = serialization.load_pem_private_key(outputs["privateKeyPem"].value.encode(), None)
    assert isinstance(key, kind)
    assert outputs["publicKeyPem"].startswith("-----BEGIN PUBLIC KEY-----")


def test_a_signed_certificate_holds_what_was_asked_and_a_client_trusts_it(tmp_path: Path) -> None:
    ca_key = made(tls.KEY, {"algorithm": "ECDSA", "ecdsaCurve": "P256"})["privateKeyPem"]
    ca = authority(ca_key)
    key = made(tls.KEY, {"algorithm": "ECDSA", "ecdsaCurve": "P256"})["privateKeyPem"]
    names = {"dnsNames": ["serving.aws.local"], "ipAddresses": ["127.0.0.1", "::1"], "uris": ["spiffe://x"]}
    request = made(tls.REQUEST, {"privateKeyPem": key, "subject": {"commonName": "leaf"}, **names})
    signing = {"caPrivateKeyPem": ca_key, "caCertPem": ca["certPem"], "certRequestPem": request["certRequestPem"]}
    leaf = made(tls.LOCALLY_SIGNED, {**signing, "allowedUses": ["server_auth"], "validityPeriodHours": 10})
    certificate = x509.load_pem_x509_certificate(leaf["certPem"].encode())
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == ["serving.aws.local"]
    assert len(alternatives) == 4
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca["certPem"].encode()))
    (tmp_path / "c").write_text(leaf["certPem"])
    (tmp_path / "k").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    context.load_verify_locations(cadata=ca["certPem"])
    assert leaf["validityEndTime"] == "2026-05-01T10:00:00Z"
    assert leaf["caKeyAlgorithm"] == "ECDSA"


def test_a_certificate_is_due_for_renewal_before_it_ends() -> None:
    inputs = {"privateKeyPem": made(tls.KEY, {"algorithm": "ED25519"})["privateKeyPem"], "allowedUses": []}
    inputs |= {"validityPeriodHours": 10, "earlyRenewalHours": 2}
    state = made(tls.SELF_SIGNED, inputs)
    assert state["readyForRenewal"] is False
    early = TlsProvider(lambda: NOW + datetime.timedelta(hours=7))
    late = TlsProvider(lambda: NOW + datetime.timedelta(hours=8))
    assert early.diff(urn(tls.SELF_SIGNED), "1", inputs, state, inputs).changes == ()
    assert late.diff(urn(tls.SELF_SIGNED), "1", inputs, state, inputs).replaces
    assert late.read(urn(tls.SELF_SIGNED), "1", inputs, state)[2]["readyForRenewal"] is True


def test_only_the_renewal_time_changes_in_place() -> None:
    inputs = {"privateKeyPem": made(tls.KEY, {"algorithm": "ED25519"})["privateKeyPem"], "allowedUses": []}
    inputs |= {"validityPeriodHours": 10}
    state = made(tls.SELF_SIGNED, inputs)
    provider = TlsProvider(lambda: NOW)
    moved = provider.diff(urn(tls.SELF_SIGNED), "1", inputs, state, {**inputs, "earlyRenewalHours": 1})
    assert moved.changes
    assert not moved.replaces
    assert provider.diff(urn(tls.SELF_SIGNED), "1", inputs, state, {**inputs, "validityPeriodHours": 11}).replaces
    assert provider.diff(urn(tls.SELF_SIGNED), "1", inputs, state, {**inputs, "isCaCertificate": False}).changes == ()


def test_a_preview_makes_nothing_and_knows_no_pem() -> None:
    resource_id, outputs = TlsProvider().create(urn(tls.KEY), {"algorithm": "ED25519"}, True, 0)
    assert resource_id == ""
    assert outputs["privateKeyPem"] is UNKNOWN


def test_mistakes_are_named() -> None:
    provider = TlsProvider()
    cert = {"allowedUses": ["servr_auth"], "validityPeriodHours": 1}
    _, failures = provider.check(urn(tls.SELF_SIGNED), {}, cert, Naming())
    assert {failure.property for failure in failures} == {"privateKeyPem", "allowedUses"}
    with pytest.raises(RefusedError, match="expected one of RSA, ECDSA, ED25519"):
        provider.create(urn(tls.KEY), {"algorithm": "DSA"}, False, 0)
    with pytest.raises(RefusedError, match="private key cannot be read"):
        provider.create(urn(tls.REQUEST), {"privateKeyPem": "x"}, False, 0)
    one, two = (made(tls.KEY, {"algorithm": "ED25519"})["privateKeyPem"] for _ in range(2))
    request = made(tls.REQUEST, {"privateKeyPem": two})["certRequestPem"]
    signing = {"caPrivateKeyPem": two, "caCertPem": authority(one)["certPem"], "certRequestPem": request}
    with pytest.raises(RefusedError, match="is not the key of caCertPem"):
        provider.create(urn(tls.LOCALLY_SIGNED), {**signing, "allowedUses": [], "validityPeriodHours": 1}, False, 0)


def test_a_certificate_that_exists_nowhere_cannot_be_imported() -> None:
    with pytest.raises(RefusedError, match="cannot be imported"):
        TlsProvider().read(urn(tls.KEY), "1", {}, {})
