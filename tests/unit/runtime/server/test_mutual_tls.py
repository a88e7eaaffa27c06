"""Mutual TLS on the inference port, and files that are replaced while it serves."""

import shutil
import ssl
import time
from pathlib import Path

import httpx
import pytest

from tests.servers import Certificates, Server, health, infer_request, make_certificates, start_servers

INFER = "/v2/models/digits/infer"


def status(server: Server, context: ssl.SSLContext) -> int | None:
    """Return the status of one inference over a new connection, None when TLS or the server refuses it."""
    try:
        return httpx.post(server.url + INFER, json=infer_request([[0.5] * 64]), verify=context, timeout=20).status_code
    except httpx.TransportError:
        return None


def without_certificate(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.ca)


def wait_for(server: Server, context: ssl.SSLContext, expected: int | None) -> None:
    deadline = time.monotonic() + 20
    while status(server, context) != expected:
        assert time.monotonic() < deadline, f"never {expected}: {server.log.read_text()}"
        time.sleep(0.05)


def test_only_clients_of_the_right_authority_are_let_in(models: Path, tmp_path: Path) -> None:
    ours, theirs = make_certificates(tmp_path / "ours"), make_certificates(tmp_path / "theirs")
    stranger = ssl.create_default_context(cafile=ours.ca)
    stranger.load_cert_chain(theirs.client / "tls.crt", theirs.client / "tls.key")
    with start_servers(models, tls=ours) as (server,):
        assert status(server, ours.client_context()) == 200
        assert status(server, without_certificate(ours)) is None
        assert status(server, stranger) is None
        assert status(server, theirs.client_context()) is None  # the server is not the one this client trusts
        assert health(server.health_url) == 200  # plain, for the kubelet
        assert status(server, ours.client_context()) == 200


def test_old_tls_versions_are_refused(models: Path, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    context = certificates.client_context()
    with start_servers(models, tls=certificates) as (server,):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert status(server, context) == 200
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        assert status(server, context) is None


def test_replaced_files_are_used_without_a_restart_and_the_old_authority_is_out(models: Path, tmp_path: Path) -> None:
    old, new = make_certificates(tmp_path / "old"), make_certificates(tmp_path / "new")
    with start_servers(models, tls=old, settings={"TRIHULL_TLS_CHECK_S": "0.05"}) as (server,):
        assert status(server, old.client_context()) == 200
        with httpx.Client(base_url=server.url, verify=old.client_context(), timeout=20) as kept:
            assert kept.post(INFER, json=infer_request([[0.5] * 64])).status_code == 200
            for name in ("tls.crt", "tls.key", "ca.crt"):
                shutil.copy(new.server / name, old.server / name)
            wait_for(server, new.client_context(), 200)
            old_client = ssl.create_default_context(cafile=new.ca)
            old_client.load_cert_chain(old.client / "tls.crt", old.client / "tls.key")
            assert status(server, old_client) is None
            # A connection that stands is not cut: its handshake was right at its time.
            assert kept.post(INFER, json=infer_request([[0.5] * 64])).status_code == 200


def test_unusable_new_files_leave_the_old_ones_in_use(models: Path, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    with start_servers(models, tls=certificates, settings={"TRIHULL_TLS_CHECK_S": "0.05"}) as (server,):
        (certificates.server / "tls.crt").write_text("nothing of use")
        deadline = time.monotonic() + 20
        while "the old ones stay" not in server.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert status(server, certificates.client_context()) == 200
