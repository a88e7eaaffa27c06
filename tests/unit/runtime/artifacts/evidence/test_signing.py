"""Signatures: who signed what, keys of every form that is read, and bundles that are none."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.released import public_key, signing_key
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.evidence import signing
from trihull_runtime.artifacts.evidence.statement import MEDIA_TYPE, SIGNATURE, parse
from trihull_runtime.errors import InputError

GOLDEN = Path(__file__).parents[4] / "golden" / "evidence"
PRIVATE = ec.derive_private_key(1, ec.SECP256R1())
PAYLOAD = b'{"_type":"x"}'


def pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return bytes(key.private_bytes(Encoding.PEM, form, encryption))


def test_what_is_signed_is_the_protocol_s_example() -> None:
    # DSSE protocol 1.0.2, "Test Vectors"
    signed = signing.authenticated("http://example.com/HelloWorld", b"hello world")
    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert signing.authenticated("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_a_signature_holds_for_its_key_and_no_other(tmp_path: Path) -> None:
    envelope = signing.open_bundle(signing.sign(PAYLOAD, signing_key(tmp_path)), "x")
    own, other = public_key(tmp_path), public_key(tmp_path, 2)
    assert envelope.payload == PAYLOAD
    assert signing.signer(envelope, [own]) == own
    assert signing.signer(envelope, [other, own]) == own, "keys overlap while they are rotated"
    assert signing.signer(envelope, [other]) is None
    assert signing.signer(envelope, []) is None
    assert envelope.hint == own.hint != other.hint


def test_a_bundle_of_cosign_is_read_and_its_signature_holds(tmp_path: Path) -> None:
    # `cosign sign --key cosign.key` of cosign v3.1.3, over an image of trihull's
    envelope = signing.open_bundle((GOLDEN / "cosign_bundle.json").read_bytes(), "cosign")
    key = signing.load_public_key(GOLDEN / "cosign.pub")
    said = parse(envelope.payload, "cosign")
    assert signing.signer(envelope, [public_key(tmp_path), key]) == key
    assert envelope.hint == key.hint, "the hint is made as cosign makes it"
    assert said.predicate_type == SIGNATURE
    assert said.is_about("sha256:8ad73672551cb9d3462c3718d1f288ed41eaf95969b47ded1f3d899386114112")


def test_equal_statements_have_equal_bundles(tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    assert signing.sign(PAYLOAD, key) == signing.sign(PAYLOAD, key)


@pytest.mark.parametrize("change", [{"payload": base64.b64encode(b"{}").decode()}, {"payloadType": "text/plain"}])
def test_a_changed_envelope_is_signed_by_nobody(tmp_path: Path, change: dict[str, str]) -> None:
    bundle = json.loads(signing.sign(PAYLOAD, signing_key(tmp_path)))
    bundle["dsseEnvelope"].update(change)
    envelope = signing.open_bundle(json.dumps(bundle).encode(), "x")
    assert signing.signer(envelope, [public_key(tmp_path)]) is None


def test_only_statements_count_whatever_else_a_key_signed(tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    from cryptography.hazmat.primitives import hashes

    other = PRIVATE.sign(signing.authenticated("text/plain", PAYLOAD), ec.ECDSA(hashes.SHA256()))
    assert signing.signer(signing.Envelope(PAYLOAD, "text/plain", (other,), ""), [key.public]) is None
    assert signing.signer(signing.Envelope(PAYLOAD, MEDIA_TYPE, (other,), ""), [key.public]) is None
    assert signing.signer(signing.Envelope(PAYLOAD, MEDIA_TYPE, (b"", b"\x30"), ""), [key.public]) is None


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("mediaType",), "application/vnd.dev.sigstore.bundle+json;version=0.1", "is no sigstore bundle v0.3"),
        (("dsseEnvelope",), None, "dsseEnvelope is missing"),
        (("dsseEnvelope", "signatures"), [], "has 0 signatures"),
        (("dsseEnvelope", "signatures"), [{"sig": ""}, {"sig": ""}], "has 2 signatures"),
        (("dsseEnvelope", "signatures"), [{}], "signature: is no base64"),
        (("dsseEnvelope", "signatures"), ["x"], "signature: is no base64"),
        (("dsseEnvelope", "payload"), "%%%", "payload: is no base64"),
        (("dsseEnvelope", "payload"), 7, "payload: is no base64"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, path: tuple[str, ...], value: Any, said: str) -> None:
    bundle = json.loads(signing.sign(PAYLOAD, signing_key(tmp_path)))
    place = bundle
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(LayoutError, match=said):
        signing.open_bundle(json.dumps(bundle).encode(), "here")


def test_keys_are_read_as_openssl_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = public_key(tmp_path)
    path = tmp_path / "key"
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    for data in (pem(PRIVATE), parameters + pem(PRIVATE, PrivateFormat.TraditionalOpenSSL)):
        path.write_bytes(data)
        assert signing.load_key(path).public.hint == public.hint
    path.write_bytes(pem(PRIVATE, password=b"secret"))
    monkeypatch.setenv(signing.PASSWORD_VARIABLE, "secret")
    assert signing.load_key(path).public.hint == public.hint
    assert "secret" not in repr(signing.load_key(path))


def test_a_password_that_is_missing_or_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_bytes(pem(PRIVATE, password=b"secret"))
    monkeypatch.delenv(signing.PASSWORD_VARIABLE, raising=False)
    with pytest.raises(InputError, match="has a password: set TRIHULL_KEY_PASSWORD"):
        signing.load_key(path)
    monkeypatch.setenv(signing.PASSWORD_VARIABLE, "another")
    with pytest.raises(InputError, match="is TRIHULL_KEY_PASSWORD right") as caught:
        signing.load_key(path)
    assert "another" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be read as a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nxxxx\n-----END PRIVATE KEY-----\n", "cannot be read as a private key"),
        (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "cosign's own format"),
        (b"-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n", "cosign's own format"),
        (b"x" * 70_000, "too large to be a key"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "another kind of key"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "another kind of key"),
    ],
)
def test_what_is_no_signing_key_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        signing.load_key(path)


def test_what_is_no_public_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    other = rsa.generate_private_key(65537, 2048).public_key()
    cases = {
        pem(PRIVATE): "is a private key; verifying takes the public one",
        b"garbage": "cannot be read as a public key",
        other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo): "another kind of key",
    }
    for data, said in cases.items():
        path.write_bytes(data)
        with pytest.raises(InputError, match=said):
            signing.load_public_key(path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        signing.load_public_key(tmp_path / "none")
