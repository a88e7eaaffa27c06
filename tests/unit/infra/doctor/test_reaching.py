"""Clocks and API servers, on this machine's own ports."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.infra.doctor.conftest import Api, only
from trihull_infra.doctor import reaching
from trihull_infra.doctor.findings import Status
from trihull_infra.doctor.seam import ApiServer

NOW = datetime.datetime.now(datetime.UTC)


def certificate(host: str) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """A server that shakes hands and says nothing."""
    pem, key = certificate("localhost")
    (tmp_path / "server.pem").write_bytes(pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(accepted, server_side=True) as tls:
                        tls.recv(1)
                except OSError:
                    accepted.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield ApiServer("localhost", listener.getsockname()[1], pem.decode())
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.parametrize(
    ("skew", "status"), [(0, Status.OK), (60, Status.WARNING), (-60, Status.WARNING), (3600, Status.FAILED)]
)
def test_the_clock_is_compared_with_any_answer(api: Api, skew: int, status: Status) -> None:
    found = only(reaching.clock(api.url, lambda: datetime.datetime.now().timestamp() + skew))  # noqa: DTZ005
    assert found.status is status
    if skew:
        assert ("ahead" if skew > 0 else "behind") in found.seen


def test_an_api_that_is_not_reached_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = only(reaching.clock(f"http://127.0.0.1:{port}"))
    assert (found.status, f"127.0.0.1:{port} is not reached" in found.seen) == (Status.FAILED, True)


def test_an_api_server_is_known_by_its_certificate(server: ApiServer) -> None:
    found = only(reaching.api_server(server, private=True))
    assert (found.status, "not verified" in found.seen) == (Status.OK, False)
    unknown = only(reaching.api_server(ApiServer(server.host, server.port, None), private=True))
    assert (unknown.status, "not verified" in unknown.seen) == (Status.OK, True)


def test_another_certificate_at_its_address_is_refused(server: ApiServer) -> None:
    other = certificate("localhost")[0].decode()
    found = only(reaching.api_server(ApiServer(server.host, server.port, other), private=True))
    assert (found.status, "another certificate" in found.seen) == (Status.FAILED, True)


@pytest.mark.parametrize(("private", "do"), [(True, "docs/ci.md"), (False, "add this machine's address")])
def test_an_api_server_that_is_not_reached_says_how_it_can_be(private: bool, do: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = only(reaching.api_server(ApiServer("127.0.0.1", port, None), private))
    assert (found.status, do in found.do) == (Status.FAILED, True)


def test_a_server_that_accepts_and_says_nothing_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = only(reaching.api_server(ApiServer("127.0.0.1", listener.getsockname()[1], None), private=True))
    assert (found.status, "not reached" in found.seen) == (Status.FAILED, True)


def test_without_a_cluster_nothing_is_asked() -> None:
    assert only(reaching.api_server(None, private=True)).status is Status.NOT_ASKED
