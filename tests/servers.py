"""Real model servers for tests: model folders, certificates, and `python -m trihull_runtime.server` processes.

    with start_servers(folder, 3) as servers:                       # plain HTTP
    with start_servers(folder, 3, tls=certificates) as servers:     # mutual TLS
        servers[0].url, servers[0].health_url, servers[0].pid

Every process is ended and reaped when the block ends, whatever happened in it.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import ipaddress
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.ports import free_ports as free_ports
from trihull_runtime.contract import DataType, FileDigest, ModelManifest, Signature, Tensor
from trihull_runtime.contract.codec import write_file
from trihull_runtime.contract.manifest import release_digest

MODEL_FILES = Path(__file__).parent / "unit" / "runtime" / "server" / "models"
START_S = 30.0
SIGNATURES: Mapping[str, Signature] = {
    "linear": Signature(
        (Tensor("image", DataType.FP32, (-1, 64)),),
        (Tensor("label", DataType.INT64, (-1,)), Tensor("probabilities", DataType.FP32, (-1, 10))),
    ),
    "slow": Signature((Tensor("steps", DataType.INT64, (-1,)),), (Tensor("total", DataType.FP32, (-1,)),)),
    "types": Signature(
        tuple(Tensor(f"in_{kind.lower()}", kind, (-1, 2)) for kind in DataType),
        tuple(Tensor(f"out_{kind.lower()}", kind, (-1, 2)) for kind in DataType),
    ),
    "divide": Signature(
        (Tensor("a", DataType.FP32, (-1,)), Tensor("b", DataType.FP32, (-1,))),
        (Tensor("quotient", DataType.FP32, (-1,)),),
    ),
}


def write_model(folder: Path, name: str = "digits", kind: str = "linear", version: str = "1") -> str:
    """Write the model folder `folder/name` from one of the tiny ONNX files and return its release digest."""
    data = (MODEL_FILES / f"{kind}.onnx").read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    manifest = ModelManifest(
        version=1,
        name=name,
        model_version=version,
        framework="test",
        format="onnx",
        model_file="model.onnx",
        files={"model.onnx": FileDigest(digest, len(data))},
        signature=SIGNATURES[kind],
        classes=tuple(map(str, range(10))) if kind == "linear" else (),
        environment={},
    )
    target = folder / name
    write_file(target / "model.onnx", data)
    manifest.write(target / "manifest.json")
    return release_digest((target / "manifest.json").read_bytes())


@dataclasses.dataclass(frozen=True)
class Certificates:
    """One authority with a server folder (`TRIHULL_TLS` of a server) and a client folder (of a router).

    The server's certificate carries `server_name`, `localhost` and 127.0.0.1. Both folders hold `tls.crt`, `tls.key`
    and `ca.crt` (this authority's certificate).
    """

    server: Path
    client: Path
    ca: Path
    server_name: str

    def client_context(self) -> ssl.SSLContext:
        """Return what a client with the right certificate uses."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.client / "tls.crt", self.client / "tls.key")
        return context


def make_certificates(folder: Path, server_name: str = "serving.aws.local.trihull.internal") -> Certificates:
    """Make an authority, a server certificate and a client certificate below `folder`, valid for one day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {folder.name}")])
    authority = (
        _certificate(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    pem = authority.public_bytes(serialization.Encoding.PEM)
    names = [x509.DNSName(server_name), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    for side, usage in (("server", ExtendedKeyUsageOID.SERVER_AUTH), ("client", ExtendedKeyUsageOID.CLIENT_AUTH)):
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, side)])
        builder = (
            _certificate(subject, name, leaf_key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
                critical=False,
            )
        )
        if side == "server":
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        leaf = builder.sign(key, hashes.SHA256())
        write_file(folder / side / "tls.crt", leaf.public_bytes(serialization.Encoding.PEM))
        private = leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_file(folder / side / "tls.key", private, 0o600)
        write_file(folder / side / "ca.crt", pem)
    return Certificates(folder / "server", folder / "client", folder / "server" / "ca.crt", server_name)


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


@dataclasses.dataclass
class Server:
    """One server process; `url` is its inference port, `health_url` its plain health port, `log` its standard error."""

    process: subprocess.Popen[bytes]
    url: str
    health_url: str
    environment: Mapping[str, str]
    log: Path

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def kill(self) -> None:
        """End it as a power cut would, and reap it."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop it without closing anything."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start it again on the same ports with the same settings, and wait until it is ready."""
        self.kill()
        self.process = launch(self.environment, self.log)
        wait_ready(self)


@contextlib.contextmanager
def start_servers(
    models: Path | Sequence[Path],
    count: int = 1,
    *,
    tls: Certificates | Sequence[Certificates] | None = None,
    settings: Mapping[str, str] | None = None,
    logs: Path | None = None,
) -> Iterator[list[Server]]:
    """Start `count` ready servers on free loopback ports.

    Args:
        models: what they serve (`TRIHULL_MODELS`), one for all or one each.
        count: how many.
        tls: certificates, one for all or one each; None is plain HTTP.
        settings: more environment variables, the same for all. Drains are short unless set here.
        logs: a folder for their standard errors; a temporary one when None.

    Raises:
        AssertionError: one of them did not become ready; the message holds its log.
    """
    folders = [models] * count if isinstance(models, Path) else list(models)
    certificates = [tls] * count if tls is None or isinstance(tls, Certificates) else list(tls)
    with contextlib.ExitStack() as stack:
        if logs is None:
            logs = Path(stack.enter_context(_temporary_folder()))
        ports = free_ports(2 * count)
        servers = []
        for index, (folder, certificate) in enumerate(zip(folders, certificates, strict=True)):
            infer, health = ports[2 * index], ports[2 * index + 1]
            environment = {
                "TRIHULL_MODELS": str(folder),
                "TRIHULL_HOST": "127.0.0.1",
                "TRIHULL_PORT_INFER": str(infer),
                "TRIHULL_PORT_HEALTH": str(health),
                "TRIHULL_DRAIN_S": "10",
                "TRIHULL_DRAIN_GRACE_S": "0.5",
                **({"TRIHULL_TLS": str(certificate.server)} if certificate is not None else {}),
                **(settings or {}),
            }
            log = logs / f"server-{index}.log"
            server = Server(
                launch(environment, log),
                f"{'http' if certificate is None else 'https'}://127.0.0.1:{infer}",
                f"http://127.0.0.1:{health}",
                environment,
                log,
            )
            stack.callback(end, server)
            servers.append(server)
        for server in servers:
            wait_ready(server)
        yield servers


def launch(environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """Start one server process with exactly these TRIHULL_ variables; the caller ends it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIHULL_")}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "trihull_runtime.server"],
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def wait_ready(server: Server, timeout_s: float = START_S) -> None:
    """Wait until the health port says ready; raises AssertionError with the server's log."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.log.read_text()}")
        if health(server.health_url) == 200:
            return
        time.sleep(0.02)
    raise AssertionError(f"the server is not ready after {timeout_s} s:\n{server.log.read_text()}")


def health(health_url: str, what: str = "ready") -> int | None:
    """Return the status of `/v2/health/<what>`, or None when nothing answers."""
    try:
        with urllib.request.urlopen(f"{health_url}/v2/health/{what}", timeout=2) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def end(server: Server) -> None:
    """End a server process, frozen or not, and reap it."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGCONT)
        server.process.kill()
    server.process.wait()


def infer_request(rows: Sequence[Sequence[float]], **more: Any) -> dict[str, Any]:
    """Return a V2 request for the `linear` model."""
    return {
        "inputs": [
            {
                "name": "image",
                "shape": [len(rows), 64],
                "datatype": "FP32",
                "data": [value for row in rows for value in row],
            }
        ],
        **more,
    }


@contextlib.contextmanager
def _temporary_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="trihull-servers-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
