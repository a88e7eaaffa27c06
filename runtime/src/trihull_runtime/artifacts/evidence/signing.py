"""Signatures: a statement in a DSSE envelope in a sigstore bundle, by an EC P-256 key that one keeps oneself.

Sources: DSSE protocol 1.0.2; sigstore bundle v0.3 (sigstore_bundle.proto). There is no certificate and no transparency
log: whoever verifies has the public key. The signature is deterministic (RFC 6979) where OpenSSL can do that, so equal
builds have equal evidence. `cryptography` is imported when it is needed: most builds sign nothing.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.evidence.statement import MEDIA_TYPE, parse_json
from trihull_runtime.artifacts.registry.blobs import document_bytes
from trihull_runtime.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

BUNDLE_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PASSWORD_VARIABLE: Final = "TRIHULL_KEY_PASSWORD"  # noqa: S105  # the variable's name, not a password
KEY_BYTES_MAX: Final = 1 << 16
WANTED: Final = "expected an EC P-256 key in PEM (docs/supply-chain.md has the openssl commands)"
OF_COSIGN: Final = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")


@dataclass(frozen=True)
class PublicKey:
    """A key to verify with: `name` is what reports call it, `hint` the base64 of its SHA-256 (of the DER form)."""

    name: str
    hint: str
    key: "EllipticCurvePublicKey" = field(repr=False, compare=False)


@dataclass(frozen=True)
class SigningKey:
    """A key to sign with; it is never shown."""

    public: PublicKey
    key: "EllipticCurvePrivateKey" = field(repr=False, compare=False)


@dataclass(frozen=True)
class Envelope:
    """What a bundle holds: the signed bytes, their type, the signatures, and which key the bundle says was used."""

    payload: bytes
    payload_type: str
    signatures: tuple[bytes, ...]
    hint: str


def load_key(path: Path) -> SigningKey:
    """Read a private key: PEM, PKCS #8 or SEC 1, its password in `TRIHULL_KEY_PASSWORD` when it has one.

    Raises:
        InputError: it cannot be read, is another kind of key, or the password is missing or wrong.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path)
    if any(title in data for title in OF_COSIGN):
        raise InputError(
            f"{path}: is encrypted in cosign's own format, which is not read here: make a key with openssl"
            " (docs/supply-chain.md), or import one into cosign (`cosign import-key-pair`) and keep the PEM file"
        )
    encrypted = b"ENCRYPTED" in data
    password = os.environ.get(PASSWORD_VARIABLE) if encrypted else None
    if encrypted and not password:
        raise InputError(f"{path}: has a password: set {PASSWORD_VARIABLE}")
    try:
        key = load_pem_private_key(data, password.encode() if password else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        hint = f"is {PASSWORD_VARIABLE} right? " if encrypted else ""
        raise InputError(f"{path}: cannot be read as a private key ({hint}{_first_line(error)}); {WANTED}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError(f"{path}: is another kind of key; {WANTED}")
    return SigningKey(_public(str(path), key.public_key()), key)


def load_public_key(path: Path) -> PublicKey:
    """Read a public key (PEM, SubjectPublicKeyInfo).

    Raises:
        InputError: it cannot be read, or is another kind of key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise InputError(f"{path}: is a private key; verifying takes the public one (openssl pkey -pubout)")
    try:
        key = load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: cannot be read as a public key ({_first_line(error)}); {WANTED}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError(f"{path}: is another kind of key; {WANTED}")
    return _public(str(path), key)


def sign(payload: bytes, key: SigningKey) -> bytes:
    """Return a bundle around a statement's bytes."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    signed = authenticated(MEDIA_TYPE, payload)
    try:
        signature = key.key.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    except UnsupportedAlgorithm:  # an OpenSSL before 3.2: as good a signature, but another one each time
        signature = key.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return document_bytes(
        {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": key.public.hint}},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": MEDIA_TYPE,
                "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
            },
        }
    )


def open_bundle(data: bytes, source: str) -> Envelope:
    """Read a bundle, verifying nothing; `source` is what errors call it.

    Raises:
        LayoutError: no bundle, or one without a signed envelope.
    """
    value = parse_json(data, source)
    if value.get("mediaType") != BUNDLE_TYPE:
        raise LayoutError(f"{source}: is no sigstore bundle v0.3, but {value.get('mediaType')!r:.80}")
    envelope = value.get("dsseEnvelope")
    if not isinstance(envelope, dict) or not isinstance(envelope.get("signatures"), list):
        raise LayoutError(f"{source}: its dsseEnvelope is missing, or has no signatures")
    signatures = tuple(
        _decoded(one.get("sig") if isinstance(one, dict) else None, f"{source}: signature")
        for one in envelope["signatures"]
    )
    if len(signatures) != 1:  # the bundle format's rule for envelopes
        raise LayoutError(f"{source}: its envelope has {len(signatures)} signatures; a bundle holds one")
    material = value.get("verificationMaterial")
    public = material.get("publicKey") if isinstance(material, dict) else None
    hint = public.get("hint") if isinstance(public, dict) else None
    return Envelope(
        _decoded(envelope.get("payload"), f"{source}: payload"),
        str(envelope.get("payloadType")),
        signatures,
        hint if isinstance(hint, str) else "",
    )


def signer(envelope: Envelope, keys: Sequence[PublicKey]) -> PublicKey | None:
    """Return which of the keys signed an envelope, None when none did; the hint in a bundle is not believed."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if envelope.payload_type != MEDIA_TYPE:
        return None
    signed = authenticated(envelope.payload_type, envelope.payload)
    for key in keys:
        for signature in envelope.signatures:
            try:
                key.key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                continue
            return key
    return None


def authenticated(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: type and bytes with their lengths (PAE of the DSSE protocol)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _public(name: str, key: "EllipticCurvePublicKey") -> PublicKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(name, base64.b64encode(hashlib.sha256(der).digest()).decode(), key)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(KEY_BYTES_MAX + 1)
    except OSError as error:
        raise InputError(f"{path}: the key cannot be read: {error.strerror or error}") from error
    if len(data) > KEY_BYTES_MAX:
        raise InputError(f"{path}: is too large to be a key; {WANTED}")
    return data


def _decoded(value: Any, source: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise LayoutError(f"{source}: is no base64: {error}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
