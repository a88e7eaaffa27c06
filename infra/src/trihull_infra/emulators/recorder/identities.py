"""How an emulated cluster is reached: an endpoint that no other cluster has, and a certificate authority of its own."""

import base64
import dataclasses
import datetime
import functools
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

YEARS = 10


@dataclasses.dataclass(frozen=True)
class ClusterIdentity:
    """A cluster's API server as its clients know it: an `https://` URL, and its CA (base64 of PEM)."""

    server: str
    certificate: str


def server_key(url: str) -> str:
    """Return the form of a server URL by which clusters are found: no port 443, no final slash, lower case."""
    return url.strip().rstrip("/").removesuffix(":443").lower()


def digits(name: str, seed: str) -> str:
    """Return 64 hexadecimal digits from which a cluster's endpoint is made."""
    return hashlib.sha256(f"{seed}/{name}/server".encode()).hexdigest()


@functools.lru_cache(maxsize=256)
def certificate_authority(name: str, seed: str) -> str:
    """Return a CA certificate (base64 of PEM) for a cluster; the same for the same name and seed.

    The key is derived and dropped: no server stands behind it, clusters are told apart by their URL.
    """
    digest = int.from_bytes(hashlib.sha512(f"{seed}/{name}".encode()).digest()[:31], "big") + 1
    key = ec.derive_private_key(digest, ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name[:48]} ca")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(digest % (1 << 150))
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.PEM)).decode()
