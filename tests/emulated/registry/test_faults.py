"""What a registry may do to a push or a pull: it is tried again or refused, and a tag never names a broken image."""

import dataclasses
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.emulated import faulty
from tests.emulated.faulty import Fault, Proxy
from tests.emulated.registries import Server
from tests.emulated.registry.conftest import BLOB
from tests.emulated.registry.test_contract import attach
from tests.unit.runtime.artifacts.images import file, make_image
from trihull_runtime.artifacts.errors import RegistryError
from trihull_runtime.artifacts.registry import transfer
from trihull_runtime.artifacts.registry.distribution import DistributionRegistry
from trihull_runtime.artifacts.registry.keychain import anonymous
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Descriptor

PUSH = "import sys\nfrom trihull_runtime.cli import main\nsys.argv = ['trihull', 'publish', *sys.argv[1:]]\nmain()"


UNKNOWN = b'{"errors": [{"code": "DIGEST_INVALID"}, {"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]}'
TEMPORARY = [
    Fault("POST", "/blobs/uploads/", status=500),
    Fault("POST", "/blobs/uploads/", times=3, status=503),
    Fault("PUT", BLOB, status=502),
    Fault("PUT", BLOB, times=2, drop_up=100_000),
    Fault("PUT", BLOB, drop_up=0),
    Fault("PUT", "/manifests/", times=3, status=504),
    Fault("PUT", "/manifests/", drop_down=0),
    Fault("HEAD", "/blobs/", times=2, status=500),
    Fault("PUT", "/manifests/v1", times=3, status=500),
    Fault("PUT", "/manifests/", times=3, status=400, body=UNKNOWN),
]


@pytest.mark.parametrize("fault", TEMPORARY, ids=lambda fault: f"{fault.method}-{fault.status}-{fault.times}")
def test_a_push_through_a_passing_fault_goes_through(
    fault: Fault, server: Server, proxy: Proxy, registry: DistributionRegistry, source: LayoutRegistry, digest: str
) -> None:
    proxy.faults.append(dataclasses.replace(fault))
    transfer.copy(source, registry, digest, tag="v1")
    assert proxy.faults[0].times == 0, "the fault was met as often as it should be"
    assert registry.read_manifest("v1").digest == digest
    for blob in transfer.describe(registry, digest).blobs:
        registry.read_blob(blob, io.BytesIO())


LASTING = [
    (Fault("POST", "/blobs/uploads/", times=99, status=500), r"answered 500 .*\(tried 4 times"),
    (Fault("PUT", BLOB, times=99, status=429), r"answered 429 .*\(tried 4 times"),
    (Fault("PUT", BLOB, times=99, drop_up=100), r"sending sha256:.*\(tried 4 times"),
    (
        Fault("PUT", BLOB, status=400, body=b'{"errors": [{"code": "DIGEST_INVALID", "message": "no\\u001b[2J"}]}'),
        "DIGEST_INV",
    ),
    (Fault("PUT", BLOB, headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"}), "was stored as 'sha256:000"),
    (Fault("POST", "/blobs/uploads/", status=202), "without saying where"),
    (
        Fault("POST", "/blobs/uploads/", status=202, headers={"Location": "ftp://elsewhere/"}),
        "wants the upload sent to ftp",
    ),
    (Fault("PUT", "/manifests/sha256", times=99, status=500), "writing sha256:.* answered 500"),
    (Fault("PUT", "/manifests/sha256", times=99, status=400, body=UNKNOWN), r"MANIFEST_BLOB_UNKNOWN.*\(tried 4 times"),
    (Fault("PUT", "/manifests/sha256", status=413, body=b"<html>"), "writing sha256:.* answered 413"),
    (Fault("HEAD", "/blobs/", times=99, status=200, headers={"Content-Length": "7"}), "has 7 bytes there instead of"),
    (Fault("HEAD", "/blobs/", times=99, status=302, headers={"Location": "/v2/x/blobs/y"}), "Exceeded 5 redirects"),
    (Fault("HEAD", "/blobs/", times=99, status=403), "answered 403"),
]


@pytest.mark.parametrize(("fault", "message"), LASTING, ids=[f"{f.method}-{f.status}-{m[:12]}" for f, m in LASTING])
def test_a_push_that_cannot_go_well_says_why_and_leaves_no_tag(
    fault: Fault,
    message: str,
    server: Server,
    proxy: Proxy,
    registry: DistributionRegistry,
    repository: str,
    source: LayoutRegistry,
    digest: str,
) -> None:
    proxy.faults.append(dataclasses.replace(fault))
    with pytest.raises(RegistryError, match=message) as caught:
        transfer.copy(source, registry, digest, tag="v1")
    assert "\x1b" not in str(caught.value)
    assert server.tags(repository) == []
    assert not server.has_manifest(repository, digest)
    proxy.faults.clear()
    transfer.copy(source, registry, digest, tag="v1")  # and once it is well again, the same command completes
    assert server.tags(repository) == ["v1"]


def test_what_the_registry_asks_to_wait_is_waited_but_not_for_ever(
    proxy: Proxy, registry: DistributionRegistry, source: LayoutRegistry, digest: str, waits: list[float]
) -> None:
    proxy.faults.append(Fault("PUT", "/manifests/", status=429, headers={"Retry-After": "3"}))
    proxy.faults.append(Fault("PUT", "/manifests/v1", status=503, headers={"Retry-After": "86400"}))
    proxy.faults.append(Fault("PUT", "/manifests/v1", status=503, headers={"Retry-After": "soon"}))
    transfer.copy(source, registry, digest, tag="v1")
    assert waits == [3, 15, 0.5]


def test_a_download_that_breaks_goes_on_where_it_was(
    server: Server, proxy: Proxy, registry: DistributionRegistry, source: LayoutRegistry, digest: str
) -> None:
    transfer.copy(source, registry, digest)
    blob = max(transfer.describe(source, digest).blobs, key=lambda blob: blob.size_bytes)
    proxy.faults.append(Fault("GET", blob.digest, times=2, drop_down=120_000))
    stream = io.BytesIO()
    registry.read_blob(blob, stream)
    with source.blob_file(blob) as path:
        assert stream.getvalue() == path.read_bytes()
    assert proxy.count("GET", blob.digest) == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("GET", "/blobs/", flip=True), "has other content there"),
        (Fault("GET", "/blobs/", times=99, cut=7), r"ends after \d+ of \d+ bytes"),
        (Fault("GET", "/blobs/", body=b"x" * 400_000), "has more bytes there than it should"),
        (Fault("GET", "/manifests/", flip=True), "has content of sha256:"),
        (Fault("GET", "/manifests/", cut=9), "has content of sha256:"),
        (Fault("GET", "/manifests/", headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"}), "said to be sha256:000"),
        (Fault("GET", "/manifests/", times=99, body=b"x" * (5 << 20)), "has more than 4 MiB"),
    ],
    ids=["flipped", "cut", "longer", "manifest flipped", "manifest cut", "digest forged", "manifest too large"],
)
def test_a_registry_that_lies_is_not_believed(
    fault: Fault,
    message: str,
    proxy: Proxy,
    registry: DistributionRegistry,
    source: LayoutRegistry,
    digest: str,
    tmp_path: Path,
) -> None:
    transfer.copy(source, registry, digest)
    proxy.faults.append(dataclasses.replace(fault))
    target = tmp_path / "target"
    with pytest.raises(RegistryError, match=message):
        transfer.copy(registry, LayoutRegistry(target), digest)
    assert not (target / "index.json").exists()


def test_a_registry_that_dies_for_good_is_named_and_the_tag_stays_where_it_was(
    server: Server,
    proxy: Proxy,
    registry: DistributionRegistry,
    repository: str,
    source: LayoutRegistry,
    digest: str,
) -> None:
    transfer.copy(source, registry, digest, tag="live")
    newer = make_image(source.folder, [file("noise", os.urandom(300_000))])
    proxy.faults.append(Fault("PUT", BLOB, drop_up=1000))

    def die(done: transfer.Progress) -> None:
        proxy.dead = True

    with pytest.raises(RegistryError, match="run it again when the registry is well"):
        transfer.copy(source, registry, newer, tag="live", report=die)
    assert DistributionRegistry(server.host, repository, anonymous).read_manifest("live").digest == digest
    proxy.dead = False
    transfer.copy(source, registry, newer, tag="live")
    assert registry.read_manifest("live").digest == newer


def test_only_what_changed_is_sent(
    proxy: Proxy, registry: DistributionRegistry, source: LayoutRegistry, digest: str
) -> None:
    shared = [file("noise", os.urandom(500_000))]
    first, second = (make_image(source.folder, shared, [file("model", os.urandom(2000))]) for _ in range(2))
    transfer.copy(source, registry, first)
    before = proxy.sent()
    copied = transfer.copy(source, registry, second)
    assert copied.present == 1
    assert proxy.sent() - before < 2000 + 8000  # the layer with the model; configuration, manifest, index
    before = proxy.sent("PUT", "/blobs/")
    transfer.copy(source, registry, second)
    assert proxy.sent("PUT", "/blobs/") == before


def test_what_is_missing_is_asked_for_once_and_an_image_without_evidence_is_named_as_it_is_stored(
    proxy: Proxy, registry: DistributionRegistry, source: LayoutRegistry, digest: str
) -> None:
    transfer.copy(source, registry, digest, tag="v1")
    blobs = transfer.describe(source, digest).blobs
    assert [proxy.count("HEAD", blob.digest) for blob in blobs] == [1] * len(blobs)
    assert (proxy.count("PUT", "/manifests/v1"), proxy.count("PUT", f"/manifests/{digest}")) == (1, 0)
    assert registry.read_manifest(digest).digest == digest


def test_evidence_of_one_manifest_is_listed_by_one_write_and_before_the_tag(
    server: Server, proxy: Proxy, registry: DistributionRegistry, source: LayoutRegistry, digest: str, tmp_path: Path
) -> None:
    subject = source.read_manifest(digest)
    made = {attach(source, subject, tmp_path, text).digest for text in (b"one", b"two", b"three")}
    transfer.copy(source, registry, digest, tag="v1")
    puts = [path.rpartition("/")[2] for method, path, _ in proxy.seen if method == "PUT" and "/manifests/" in path]
    tag = digest.replace(":", "-")
    assert puts.count(tag) == 1
    assert puts.index(digest) < min(map(puts.index, made)) < puts.index(tag) < puts.index("v1") == len(puts) - 1
    assert {entry.digest for entry in registry.referrers(digest)} == made


def test_pushes_at_once_do_not_disturb_each_other(
    server: Server, proxy: Proxy, repository: str, source: LayoutRegistry, tmp_path: Path
) -> None:
    same = make_image(source.folder, [file("noise", os.urandom(200_000))])
    others = [make_image(source.folder, [file("noise", os.urandom(200_000))]) for _ in range(2)]
    subject = source.read_manifest(same)
    made = {attach(source, subject, tmp_path, text).digest for text in (b"one", b"two", b"three")}
    problems: list[BaseException] = []

    def push(digest: str, tag: str) -> None:
        try:
            registry = DistributionRegistry(proxy.host, repository, anonymous)
            transfer.copy(source, registry, digest, tag=tag)
        except BaseException as error:  # noqa: BLE001  # told below, in the test's own thread
            problems.append(error)

    wanted = [(same, "a"), (same, "b"), (others[0], "c"), (others[1], "d")]
    threads = [threading.Thread(target=push, args=arguments) for arguments in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    registry = DistributionRegistry(server.host, repository, anonymous)
    assert [registry.read_manifest(tag).digest for _, tag in wanted] == [digest for digest, _ in wanted]
    assert {entry.digest for entry in registry.referrers(same)} == made


def release_of(tmp_path: Path, source: LayoutRegistry, digest: str) -> Path:
    """A router's build, the smallest thing that `trihull publish` takes."""
    document = f'{{"version": 1, "index_digest": "{digest}", "layout": "source"}}'
    (tmp_path / "router.json").write_text(document)
    return tmp_path / "router.json"


@pytest.mark.timeout(300)
def test_a_push_killed_at_any_moment_leaves_no_tag_on_a_broken_image(
    server: Server, proxy: Proxy, repository: str, source: LayoutRegistry, tmp_path: Path
) -> None:
    digest = make_image(source.folder, *([file(f"noise{n}", os.urandom(150_000))] for n in range(4)))
    release = release_of(tmp_path, source, digest)
    killed = 0
    for moment in range(14):
        target = f"{proxy.host}/{repository}:v{moment}"
        begun = len(proxy.seen)
        process = subprocess.Popen(
            [sys.executable, "-c", PUSH, str(release), "--to", target],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and len(proxy.seen) < begun + 1 + moment * 2:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if f"v{moment}" in server.tags(repository):  # then all of it is there
            checked = DistributionRegistry(server.host, repository, anonymous)
            for blob in transfer.describe(checked, f"v{moment}").blobs:
                checked.read_blob(blob, io.BytesIO())
    assert killed >= 5
    done = subprocess.run(
        [sys.executable, "-c", PUSH, str(release), "--to", f"{proxy.host}/{repository}:end"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert DistributionRegistry(server.host, repository, anonymous).read_manifest("end").digest == digest


def test_three_registries_at_once_and_a_dead_one_stops_nobody(
    server: Server,
    repository: str,
    source: LayoutRegistry,
    digest: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = release_of(tmp_path, source, digest)
    with faulty.before(server.host) as one, faulty.before(server.host) as other:
        other.dead = True
        monkeypatch.setattr("trihull_runtime.artifacts.registry.retrying.Retry.wait_s", lambda *_: 0)
        from trihull_runtime.artifacts.publishing import run

        targets = {
            "aws": f"{one.host}/{repository}/aws",
            "gcp": f"{other.host}/{repository}/gcp",
            "azure": f"oci-layout://{tmp_path}/azure",
        }
        outcomes = {o.target: o for o in run.to_all([run.source(release)], dict(targets), lambda _: None)}
        assert [name for name, outcome in outcomes.items() if outcome.problem] == ["gcp"]
        other.dead = False
        again = {o.target: o for o in run.to_all([run.source(release)], dict(targets), lambda _: None)}
        assert [outcome.problem for outcome in again.values()] == ["", "", ""]
        assert {name: outcome.copied.sent for name, outcome in again.items()} == {"aws": 0, "gcp": 2, "azure": 0}
    for name in ("aws", "gcp"):
        found = DistributionRegistry(server.host, f"{repository}/{name}", anonymous).read_manifest(digest)
        assert found == LayoutRegistry(tmp_path / "azure").read_manifest(digest)


def test_a_blob_of_the_wrong_size_is_refused_before_it_is_sent(
    proxy: Proxy, registry: DistributionRegistry, tmp_path: Path
) -> None:
    (tmp_path / "blob").write_bytes(b"12345")
    with pytest.raises(RegistryError, match="has 5 bytes, not the 6 of"):
        registry.write_blob(Descriptor("x", f"sha256:{'1' * 64}", 6), tmp_path / "blob")
    assert proxy.seen == []
