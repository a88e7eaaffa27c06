"""A real registry (Debian's docker-registry) on this machine, plain or with TLS and a password."""

import contextlib
import datetime
import ipaddress
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_ports
from tests.toolchain import debian

USER, PASSWORD = "deployer", "correct horse"
# `htpasswd -nbB deployer 'correct horse'`: the registry takes bcrypt only.
HTPASSWD = "deployer:$2y$05$fS2qrnU.6C5ilseeWN0tGeErOaw5WEZAIgmpTY/Ho9j527naOiAvS\n"


@dataclass(frozen=True)
class Server:
    """A running registry: its `host:port`, and the certificate to trust, if any."""

    host: str
    certificate: Path | None = None

    def tags(self, repository: str) -> list[str]:
        """Return a repository's tags, asked without any of our own code."""
        answer = requests.get(f"http://{self.host}/v2/{repository}/tags/list", timeout=10)
        return list(answer.json().get("tags") or []) if answer.status_code == 200 else []

    def has_manifest(self, repository: str, digest: str) -> bool:
        """Return whether a manifest is there."""
        accept = {"Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"}
        answer = requests.get(f"http://{self.host}/v2/{repository}/manifests/{digest}", headers=accept, timeout=10)
        return answer.status_code == 200


def binary() -> Path:
    """Return the registry's program: the machine's own, else one fetched from the distribution's archive."""
    own = shutil.which("docker-registry")
    return Path(own) if own is not None else debian.unpacked("docker-registry") / "usr/bin/docker-registry"


def free_port() -> int:
    """Return a port on 127.0.0.1 that is this process's own until it ends."""
    return free_ports(1)[0]


@contextlib.contextmanager
def running(folder: Path, *, secured: bool = False) -> Iterator[Server]:
    """Run a registry with an empty storage below `folder`; it ends with the block."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    text = f"""\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http:
  addr: 127.0.0.1:{port}
  relativeurls: true
"""
    certificate = None
    if secured:
        certificate, key = self_signed(folder)
        (folder / "htpasswd").write_text(HTPASSWD)
        text += f"  tls: {{certificate: {certificate}, key: {key}}}\n"
        text += f"auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"
    (folder / "config.yml").write_text(text)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary(), "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, "the registry did not begin to listen"
            time.sleep(0.02)
        yield Server(f"127.0.0.1:{port}", certificate)
    finally:
        process.kill()
        process.wait()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry of a test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
