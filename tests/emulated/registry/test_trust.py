"""What a registry may not make us do: give a password away, believe a list, send in a way that others do not take."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.emulated import faulty
from tests.emulated.faulty import Fault, Proxy
from tests.emulated.registries import Server
from tests.emulated.registry.conftest import BLOB
from trihull_runtime.artifacts.errors import RegistryError
from trihull_runtime.artifacts.registry import transfer
from trihull_runtime.artifacts.registry.distribution import DistributionRegistry
from trihull_runtime.artifacts.registry.keychain import Credentials
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Descriptor
from trihull_runtime.artifacts.registry.retrying import Retry


def test_whoever_a_registry_redirects_to_does_not_get_its_password(
    server: Server, repository: str, source: LayoutRegistry, digest: str
) -> None:
    asked: list[str] = []

    def keychain(host: str) -> Credentials | None:
        asked.append(host)
        return Credentials("me", "secret", "the test")

    with faulty.before(server.host) as elsewhere, faulty.before(server.host) as proxy:
        challenge = {"WWW-Authenticate": f'Bearer realm="https://{elsewhere.host}/token"'}
        elsewhere.faults.append(Fault("HEAD", "", times=99, status=401, headers=challenge))
        proxy.faults.append(
            Fault("HEAD", "", times=99, status=307, headers={"Location": f"http://{elsewhere.host}/v2/x"})
        )
        registry = DistributionRegistry(proxy.host, repository, keychain, retry=Retry(attempts=1))
        with pytest.raises(RegistryError, match="which wants credentials; refused"):
            transfer.copy(source, registry, digest)
        assert asked == []
        assert elsewhere.count("GET", "token") == 0


def test_a_netrc_file_is_not_asked(
    proxy: Proxy,
    registry: DistributionRegistry,
    source: LayoutRegistry,
    digest: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    transfer.copy(source, registry, digest)
    assert proxy.seen
    assert proxy.authorizations == set()


def test_a_token_that_ends_amid_an_upload_begins_it_anew(
    proxy: Proxy, registry: DistributionRegistry, source: LayoutRegistry, digest: str
) -> None:
    proxy.faults.append(Fault("PUT", BLOB, status=401))
    transfer.copy(source, registry, digest, tag="v1")
    assert registry.read_manifest("v1").digest == digest


def test_a_blob_of_nothing_is_not_sent_in_chunks(proxy: Proxy, registry: DistributionRegistry, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    empty = Descriptor("x", f"sha256:{hashlib.sha256(b'').hexdigest()}", 0)
    assert registry.write_blob(empty, tmp_path / "empty") == 0
    assert registry.has_blob(empty)


def test_a_list_of_evidence_in_parts_is_read_to_its_end_and_no_entry_is_believed(
    proxy: Proxy, registry: DistributionRegistry
) -> None:
    def part(*digests: str) -> bytes:
        return json.dumps({"manifests": [{"mediaType": "m", "digest": d, "size": 1} for d in digests]}).encode()

    subject, one, two = (f"sha256:{digit * 64}" for digit in "123")
    following = {"Link": f'</v2/{registry.name.partition("/")[2]}/referrers/{subject}?n=2>; rel="next"'}
    proxy.faults.append(Fault("GET", f"referrers/{subject}$", status=200, headers=following, body=part(one)))
    proxy.faults.append(Fault("GET", "n=2", status=200, body=part(two)))
    assert [found.digest for found in registry.referrers(subject)] == [one, two]
    proxy.faults.append(Fault("GET", "referrers", status=200, body=part("../../other/manifests/live")))
    with pytest.raises(RegistryError, match="expected a descriptor"):
        registry.referrers(subject)
