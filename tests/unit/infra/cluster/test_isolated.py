"""Containers in their image's own root. Needs Linux with user namespaces, as a local cluster does that uses them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.infra.cluster import layouts
from tests.unit.infra.cluster.conftest import deployment, eventually, namespace
from trihull_infra.emulators.cluster import ClusterError, LocalCluster, images, isolated
from trihull_infra.emulators.cluster.errors import ImageError

linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces exist on Linux only; run it there")

SCRIPT = """
while read -r name value rest; do case $name in Uid:) echo "uid $value";; esac; done < /proc/self/status
echo "root" /*
echo "args $0 $1"
export -p
read -r line < /etc/settings/key; echo "setting $line"
(echo x > /etc/forbidden) 2>/dev/null || echo "root is read-only"
(echo x > /etc/settings/new) 2>/dev/null || echo "settings are read-only"
echo x > /tmp/file && echo x > /scratch/file && echo "tmp and scratch are writable"
(echo x > /dev/null) && [ -c /dev/zero ] && [ -c /dev/urandom ] && echo "devices work"
[ -e "$OUTSIDE" ] || echo "the machine's files are not there"
echo done
exec /bin/sleep 300
"""
CONFIG = {
    "User": "65532:65532",
    "Env": ["PATH=/bin", "FROM_IMAGE=yes", "PLAIN=image"],
    "Entrypoint": ["/bin/sh", "-c", SCRIPT],
    "Cmd": ["zero", "one"],
    "WorkingDir": "/",
}
POD = {
    "volumes": [{"name": "settings", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}],
    "terminationGracePeriodSeconds": 5,
}
MOUNTS = [{"name": "settings", "mountPath": "/etc/settings"}, {"name": "scratch", "mountPath": "/scratch"}]


@pytest.fixture
def image(tmp_path: Path) -> str:
    return layouts.make(tmp_path / "registry", layouts.shell_files() | {"etc/hostname": b"image\n"}, CONFIG)


@pytest.fixture
def isolated_cluster(folder: Path) -> Iterator[LocalCluster]:
    made = LocalCluster("trihull-aws", "aws", folder)
    try:
        made.apply(namespace())
        yield made
    finally:
        made.close()


def _settings(text: str) -> dict[str, Any]:
    metadata = {"name": "settings", "namespace": "trihull"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": f"{text}\n"}}


def _web(image: str, tmp_path: Path, **more: Any) -> dict[str, Any]:
    """A Deployment without a readiness probe: it is ready when it runs."""
    container = {"readinessProbe": None, "volumeMounts": MOUNTS} | more
    return deployment(image=image, env={"PLAIN": "pod", "OUTSIDE": str(tmp_path)}, container=container, pod=POD)


def _log(folder: Path, cluster: LocalCluster) -> str:
    path = folder / "pods" / "trihull" / cluster.pods()[0].name / "log"
    return path.read_text() if path.exists() else ""


@linux
def test_a_container_sees_its_images_root_and_nothing_of_the_machine(
    isolated_cluster: LocalCluster, folder: Path, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACHINE_SECRET", "hidden")
    cluster = isolated_cluster
    assert (cluster.isolation, cluster.status()["isolation_reason"]) == ("namespaces", "")
    cluster.apply(_settings("one"))
    cluster.apply(_web(image, tmp_path))
    cluster.wait_ready("Deployment", "trihull", "web", 60)
    eventually(lambda: "done" in _log(folder, cluster), "the script is through")
    lines = _log(folder, cluster).splitlines()
    assert "uid 65532" in lines
    assert "args zero one" in lines
    assert "setting one" in lines
    for expected in (
        "root is read-only",
        "settings are read-only",
        "tmp and scratch are writable",
        "devices work",
        "the machine's files are not there",
    ):
        assert expected in lines
    root = next(line for line in lines if line.startswith("root /")).split()[1:]
    assert set(root) <= {"/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/scratch", "/sys", "/tmp", "/usr"}
    exported = {line.removeprefix("export ").partition("=")[0] for line in lines if line.startswith("export ")}
    pods_own = {"PLAIN", "OUTSIDE", "TRIHULL_HOST", "TRIHULL_PORT_HTTP", "TRIHULL_POD_UID"}
    assert exported - {"PWD", "OLDPWD"} == {"PATH", "FROM_IMAGE"} | pods_own
    assert "export PLAIN='pod'" in lines


@linux
def test_the_pods_pid_is_the_containers_own_process(
    isolated_cluster: LocalCluster, folder: Path, image: str, tmp_path: Path
) -> None:
    cluster = isolated_cluster
    cluster.apply(_settings("one"))
    cluster.apply(_web(image, tmp_path))
    cluster.wait_ready("Deployment", "trihull", "web", 60)
    eventually(lambda: "done" in _log(folder, cluster), "the script is through")
    pid = cluster.pods()[0].pid
    assert pid is not None
    command = Path(f"/proc/{pid}/cmdline")
    eventually(lambda: command.read_bytes() == b"/bin/sleep\x00300\x00", "the script became sleep")
    assert os.getsid(pid) == pid
    cluster.delete("Deployment", "trihull", "web")
    assert not command.exists()


@linux
def test_a_changed_config_map_reaches_a_running_container(
    isolated_cluster: LocalCluster, folder: Path, image: str, tmp_path: Path
) -> None:
    cluster = isolated_cluster
    script = "while read -r line < /etc/settings/key; do echo now $line; /bin/sleep 0.05; done"
    cluster.apply(_settings("one"))
    cluster.apply(_web(image, tmp_path, args=["-c", script], command=["/bin/sh"]))
    eventually(lambda: cluster.pods() and "now one" in _log(folder, cluster), "it reads the first")
    cluster.apply(_settings("two"))
    eventually(lambda: "now two" in _log(folder, cluster), "it reads the second")
    assert cluster.pods()[0].restarts == 0


@linux
def test_an_image_that_is_not_what_its_digest_says_is_not_run(
    isolated_cluster: LocalCluster, image: str, tmp_path: Path
) -> None:
    blob = max((tmp_path / "registry" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    isolated_cluster.apply(_settings("one"))
    isolated_cluster.apply(_web(image, tmp_path))
    with pytest.raises(ClusterError, match=r"ImagePullBackOff.*sha256"):
        isolated_cluster.wait_ready("Deployment", "trihull", "web", 30)
    assert [pod.pid for pod in isolated_cluster.pods()] == [None]


@pytest.mark.parametrize(
    "reference",
    [
        "oci-layout:///registry:latest",
        "oci-layout:///registry",
        "oci-layout://relative@sha256:" + "0" * 64,
        "/registry@sha256:" + "0" * 64,
        "oci-layout:///registry@sha256:123",
    ],
)
def test_an_image_that_is_not_named_by_digest_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(ImageError, match="by digest"):
        images.Images(tmp_path).get(reference)


def test_an_image_whose_layout_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no OCI layout at"):
        images.Images(tmp_path).get(f"oci-layout://{tmp_path}/nowhere@sha256:{'0' * 64}")


def test_an_image_is_unpacked_once_for_all(tmp_path: Path) -> None:
    reference = layouts.make(tmp_path / "registry", {"etc/hostname": b"image\n"}, CONFIG)
    cache = images.Images(tmp_path / "images")
    first = cache.get(reference)
    (first.root / "mark").touch()
    assert (cache.get(reference).root / "mark").exists()


def test_links_are_followed_as_inside_the_image(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var" / "run").symlink_to("/run")
    (root / "up").symlink_to("../../..")
    (root / "circle").symlink_to("circle")
    assert images.resolve(root, "/var/run/x/y") == root / "run" / "x" / "y"
    assert images.resolve(root, "up/etc") == root / "etc"
    assert images.resolve(root, "/../../etc") == root / "etc"
    with pytest.raises(ImageError, match="symbolic links"):
        images.resolve(root, "circle/x")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("65532:65532", (65532, 65532)), ("7", (7, 70)), ("web", (7, 70)), ("web:wheel", (7, 10)), ("0", (0, 0))],
)
def test_the_images_user_is_read_from_the_image(tmp_path: Path, name: str, expected: tuple[int, int]) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("web:x:7:70::/:/bin/false\n")
    (tmp_path / "etc" / "group").write_text("wheel:x:10:\n")
    assert isolated.user(tmp_path, name) == expected
    with pytest.raises(ImageError, match="'ghost'"):
        isolated.user(tmp_path, "ghost")


def test_the_command_is_what_kubernetes_would_run() -> None:
    config = {"Entrypoint": ["entry"], "Cmd": ["cmd"]}
    assert images.command(config, None, None) == ("entry", "cmd")
    assert images.command(config, None, ("a",)) == ("entry", "a")
    assert images.command(config, ("c",), None) == ("c",)
    assert images.command(config, ("c",), ("a",)) == ("c", "a")
    with pytest.raises(ImageError, match="no command"):
        images.command({}, None, None)
