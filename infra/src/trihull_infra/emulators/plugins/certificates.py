"""Keys and certificates as the tls provider makes them: pure functions from arguments to PEM, by `cryptography`.

Defaults and extensions follow terraform-provider-tls (internal/provider/common_cert.go) and Go's crypto/x509: a CA
always gets a subject key identifier, a certificate an authority key identifier when its issuer has one.
"""

import base64
import dataclasses
import datetime
import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from trihull_infra.emulators.plugins.provider import RefusedError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P224": ec.SECP224R1(),
    "P256": ec.SECP256R1(),
    "P384": ec.SECP384R1(),
    "P521": ec.SECP521R1(),
}
SUBJECT: Final[Mapping[str, ObjectIdentifier]] = {
    "country": NameOID.COUNTRY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
USAGES: Final = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
EXTENDED: Final[Mapping[str, ObjectIdentifier]] = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "microsoft_server_gated_crypto": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": ObjectIdentifier("2.16.840.1.113730.4.1"),
    "microsoft_commercial_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.2.1.22"),
    "microsoft_kernel_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.61.1.1"),
}
PEM: Final = serialization.Encoding.PEM


@dataclasses.dataclass(frozen=True)
class Issued:
    """A certificate and when it is valid; `serial` is the resource's id."""

    pem: str
    serial: str
    start: datetime.datetime
    end: datetime.datetime


def private_key(algorithm: str, curve: str, bits: int) -> PrivateKey:
    """Make a key; raises `RefusedError` for what the provider does not know."""
    if algorithm == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    if algorithm == "ECDSA":
        if curve not in CURVES:
            raise RefusedError(f"ecdsaCurve is {curve!r}; expected one of {', '.join(CURVES)}")
        return ec.generate_private_key(CURVES[curve])
    if algorithm == "ED25519":
        return ed25519.Ed25519PrivateKey.generate()
    raise RefusedError(f"algorithm is {algorithm!r}; expected one of RSA, ECDSA, ED25519")


def key_outputs(key: PrivateKey) -> dict[str, str]:
    """Return a key in all the forms the provider shows."""
    plain = serialization.NoEncryption()
    legacy = serialization.PrivateFormat.TraditionalOpenSSL
    pkcs8 = serialization.PrivateFormat.PKCS8
    public = key.public_key()
    outputs = {
        "privateKeyPem": key.private_bytes(
            PEM, pkcs8 if isinstance(key, ed25519.Ed25519PrivateKey) else legacy, plain
        ).decode(),
        "privateKeyPemPkcs8": key.private_bytes(PEM, pkcs8, plain).decode(),
        "privateKeyOpenssh": "",
        "publicKeyPem": public_pem(public),
        "publicKeyOpenssh": "",
        "publicKeyFingerprintMd5": "",
        "publicKeyFingerprintSha256": "",
    }
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp224r1":
        return outputs  # OpenSSH has no such curve
    openssh = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    wire = base64.b64decode(openssh.split()[1])
    md5 = hashlib.md5(wire, usedforsecurity=False).hexdigest()
    return outputs | {
        "privateKeyOpenssh": key.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, plain).decode(),
        "publicKeyOpenssh": openssh.decode() + "\n",
        "publicKeyFingerprintMd5": ":".join(md5[index : index + 2] for index in range(0, 32, 2)),
        "publicKeyFingerprintSha256": "SHA256:" + base64.b64encode(hashlib.sha256(wire).digest()).decode().rstrip("="),
    }


def public_pem(key: PublicKey) -> str:
    """Return a public key as PEM."""
    return key.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(key: PublicKey) -> str:
    """Return the id the provider gives a key: SHA-1 of its DER form, which names and protects nothing."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()


def load_key(pem: str) -> PrivateKey:
    """Read a private key; raises `RefusedError` when it is none."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise RefusedError(f"the private key cannot be read: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise RefusedError(f"a private key of type {type(key).__name__} is not supported")
    return key


def algorithm_of(key: PrivateKey) -> str:
    """Return the provider's name of a key's algorithm."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def request(inputs: Mapping[str, Any], key: PrivateKey) -> str:
    """Return a certificate request as PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(inputs))
    names = _names(inputs)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, _hash(key)).public_bytes(PEM).decode()


def self_signed(inputs: Mapping[str, Any], key: PrivateKey, now: datetime.datetime) -> Issued:
    """Return a certificate that its own key signs."""
    subject = _subject(inputs)
    return _issue(inputs, subject, _names(inputs), key.public_key(), subject, key, None, now)


def locally_signed(
    inputs: Mapping[str, Any], request_pem: str, ca_pem: str, ca_key: PrivateKey, now: datetime.datetime
) -> Issued:
    """Return a certificate for a request, signed by a CA.

    Raises:
        RefusedError: the request or the CA's certificate cannot be read, or the CA's key is not its certificate's.
    """
    try:
        signing = x509.load_pem_x509_csr(request_pem.encode())
        authority = x509.load_pem_x509_certificate(ca_pem.encode())
    except ValueError as error:
        raise RefusedError(f"the certificate request or the CA's certificate cannot be read: {error}") from error
    public = authority.public_key()
    if not isinstance(public, PublicKey) or public_pem(public) != public_pem(ca_key.public_key()):
        raise RefusedError("caPrivateKeyPem is not the key of caCertPem")
    requested = signing.public_key()
    if not isinstance(requested, PublicKey):
        raise RefusedError(f"a request for a key of type {type(requested).__name__} is not supported")
    try:
        names = list(signing.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    return _issue(inputs, signing.subject, names, requested, authority.subject, ca_key, authority, now)


def _issue(
    inputs: Mapping[str, Any],
    subject: x509.Name,
    names: Sequence[x509.GeneralName],
    public: PublicKey,
    issuer: x509.Name,
    key: PrivateKey,
    authority: x509.Certificate | None,
    now: datetime.datetime,
) -> Issued:
    start = now.replace(microsecond=0)
    end = start + datetime.timedelta(hours=int(inputs["validityPeriodHours"]))
    serial = x509.random_serial_number()
    is_ca = bool(inputs.get("isCaCertificate"))
    length = inputs.get("maxPathLength")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(
            x509.BasicConstraints(is_ca, int(length) if is_ca and length is not None and length >= 0 else None),
            critical=True,
        )
    )
    for extension, critical in _usages(inputs.get("allowedUses") or []):
        builder = builder.add_extension(extension, critical=critical)
    own = x509.SubjectKeyIdentifier.from_public_key(public)
    if is_ca or inputs.get("setSubjectKeyId"):
        builder = builder.add_extension(own, critical=False)
    if authority is not None:
        try:
            parent = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(parent), critical=False
            )
        except x509.ExtensionNotFound:
            parent = None
    elif inputs.get("setAuthorityKeyId"):
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False
        )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key, _hash(key))
    return Issued(certificate.public_bytes(PEM).decode(), str(serial), start, end)


def _usages(uses: Sequence[str]) -> list[tuple[x509.ExtensionType, bool]]:
    for use in uses:
        if use not in USAGES and use not in EXTENDED:
            raise RefusedError(f"allowedUses holds {use!r}; expected some of {', '.join(sorted({*USAGES, *EXTENDED}))}")
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    flags = {argument: any(USAGES.get(use) == argument for use in uses) for argument in USAGES.values()}
    if any(flags.values()):
        agreed = flags["key_agreement"]  # the standard gives the two next flags a meaning only beside this one
        flags |= {name: flags[name] and agreed for name in ("encipher_only", "decipher_only")}
        extensions.append((x509.KeyUsage(**flags), True))
    extended = [EXTENDED[use] for use in uses if use in EXTENDED]
    if extended:
        extensions.append((x509.ExtendedKeyUsage(extended), False))
    return extensions


def _subject(inputs: Mapping[str, Any]) -> x509.Name:
    given = inputs.get("subject") or {}
    attributes = []
    for key, oid in SUBJECT.items():
        values = given.get(key)
        for value in values if isinstance(values, list) else [values] if values else []:
            try:
                attributes.append(x509.NameAttribute(oid, str(value)))
            except ValueError as error:
                raise RefusedError(f"subject.{key} is {value!r}: {error}") from error
    return x509.Name(attributes)


def _names(inputs: Mapping[str, Any]) -> list[x509.GeneralName]:
    try:
        return [
            *(x509.DNSName(name) for name in inputs.get("dnsNames") or []),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in inputs.get("ipAddresses") or []),
            *(x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris") or []),
        ]
    except ValueError as error:
        raise RefusedError(f"a name of the certificate is not valid: {error}") from error


def _hash(key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
