"""The image really runs, in Docker and in containerd, with nothing that it does not need."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container import engines
from tests.container.conftest import Published
from tests.container.engines import Container, Containerd, Docker, alive, run, until

pytestmark = pytest.mark.timeout(300)
SHELLS = ("sh", "bash", "dash", "ash", "busybox", "zsh", "ksh")


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    with engines.folder_of("docker") as folder, engines.docker(folder) as started:
        yield started


@pytest.fixture(scope="module")
def containerd() -> Iterator[Containerd]:
    with engines.folder_of("containerd") as folder, engines.containerd(folder) as started:
        yield started


@pytest.fixture(scope="module")
def in_docker(docker: Docker, published: Published) -> Iterator[Container]:
    docker("pull", published.reference)
    with docker.container(published.reference) as (_, container):
        container.wait_ready()
        yield container


@pytest.fixture(scope="module")
def in_containerd(containerd: Containerd, published: Published) -> Iterator[Container]:
    containerd.pull(published.reference)
    with engines.network() as (name, host), containerd.container(published.reference, name, host) as container:
        container.wait_ready()
        yield container


@pytest.fixture(params=["docker", "containerd"])
def container(request: pytest.FixtureRequest) -> Container:
    found = request.getfixturevalue(f"in_{request.param}")
    assert isinstance(found, Container)
    return found


def test_it_answers_every_row_as_the_bare_model_does(container: Container, published: Published) -> None:
    assert "270" in container.check(published.rows)


def test_it_is_nobody_and_may_do_nothing(container: Container) -> None:
    assert container.status("Uid").split() == ["65532"] * 4
    assert container.status("Gid").split() == ["65532"] * 4
    assert {container.status(name) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd")} == {"0" * 16}
    assert container.status("NoNewPrivs") == "1"


def test_its_root_cannot_be_written_to(container: Container) -> None:
    mounts = Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()
    (root,) = [line.split() for line in mounts if line.split()[4] == "/"]
    assert root[5].split(",")[0] == "ro"


def test_it_holds_no_shell_and_no_package_manager(container: Container) -> None:
    folders = [container.root / name for name in ("bin", "usr/bin", "usr/local/bin", "sbin", "usr/sbin")]
    names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
    assert names & {*SHELLS, "apt", "dpkg", "pip", "pip3"} == set()
    assert any(name.startswith("python3") for name in names)


def test_telemetry_is_off_and_nothing_is_called(container: Container, published: Published) -> None:
    assert container.environment()["ORT_DISABLE_TELEMETRY"] == "1"
    container.check(published.rows)
    listening, established = "0A", "01"
    for line in Path(f"/proc/{container.pid}/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        assert state != established or int(local.rpartition(":")[2], 16) in (8080, 8082), f"a call to somewhere: {line}"
        assert state != listening or int(local.rpartition(":")[2], 16) in (8080, 8082)


def test_its_network_reaches_nothing_else(container: Container) -> None:
    assert container.inside("ip", "route", "show", "default").stdout == ""
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=2)"  # a documentation address (RFC 5737)
    done = container.inside("python3", "-I", "-c", code, check=False)
    assert "Network is unreachable" in done.stderr


def test_from_outside_only_its_ports_answer(in_containerd: Container) -> None:
    for port, open_ in ((8080, True), (8082, True), (22, False), (8081, False), (8083, False)):
        with socket.socket() as probe:
            probe.settimeout(2)
            assert (probe.connect_ex((in_containerd.host, port)) == 0) is open_, port


def test_sigterm_drains_and_ends_well(docker: Docker, published: Published) -> None:
    docker("pull", published.reference)
    with docker.container(published.reference, "--env", "TRIHULL_DRAIN_GRACE_S=0.5") as (name, container):
        container.wait_ready()
        docker("kill", "--signal", "TERM", name)
        until(lambda: not container.answers("/v2/health/ready"), "not ready")
        assert docker("wait", name) == "0"


def test_sigkill_leaves_no_process(docker: Docker, published: Published) -> None:
    with docker.container(published.reference) as (name, container):
        container.wait_ready()
        docker("kill", "--signal", "KILL", name)
        assert docker("wait", name) == "137"
        until(lambda: not alive(container.pid), "the process's end")


def test_with_certificates_it_answers_nobody_without_one(docker: Docker, published: Published, tmp_path: Path) -> None:
    from tests.emulated.registries import self_signed

    certificate, key = self_signed(tmp_path)
    folder = tmp_path / "tls"
    folder.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    for name, path in (("tls.crt", certificate), ("ca.crt", certificate), ("tls.key", key)):
        (folder / name).write_bytes(path.read_bytes())
        (folder / name).chmod(0o644)
    options = ("--volume", f"{folder}:/etc/trihull/tls:ro", "--env", "TRIHULL_TLS=/etc/trihull/tls")
    with docker.container(published.reference, *options) as (_, container):
        until(lambda: container.answers("/v2/health/ready", 8082), "ready")
        curl = ("curl", "--silent", "--fail", "--cacert", str(certificate), "https://127.0.0.1:8080/v2/health/ready")
        assert container.inside(*curl, check=False).returncode != 0
        known = container.inside(*curl, "--cert", str(certificate), "--key", str(key), check=False)
        assert known.returncode == 0, known.stderr


def test_every_tool_takes_the_image_by_its_digest(
    docker: Docker, containerd: Containerd, published: Published, tmp_path: Path
) -> None:
    digest = published.release.image.index_digest
    wanted = set(published.release.image.platforms)
    docker("pull", published.reference)
    assert docker("inspect", "--format", "{{index .RepoDigests 0}}", published.reference).endswith(f"@{digest}")
    containerd.pull(published.reference)
    assert digest in containerd("images", "list", "--quiet") or digest in containerd("images", "list")
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{published.reference}").stdout
    assert engines.platforms(raw) == wanted
    copied = tmp_path / "copied"
    run("skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{published.reference}", f"oci:{copied}:x")
    assert digest in (copied / "index.json").read_text()
    version = published.release.model.version
    layout = f"oci:{published.folder}/image:{version}"
    assert run("skopeo", "inspect", layout, "--format", "{{.Digest}}").stdout.strip() in (
        digest,
        *_manifests(published),
    )
    storage = ("--root", str(tmp_path / "storage"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs")
    pulled = run("buildah", *storage, "pull", "--tls-verify=false", published.reference).stdout.strip()
    assert pulled
    run("buildah", *storage, "rmi", pulled)


def test_an_engine_is_gone_when_its_session_ends() -> None:
    with engines.folder_of("gone") as folder:
        with engines.docker(folder) as docker:
            pid = int((folder / "pid").read_text())
            assert docker("version", "--format", "{{.Server.Version}}")
        assert not alive(pid)
        assert str(folder) not in Path("/proc/self/mountinfo").read_text()


def _manifests(published: Published) -> set[str]:
    from trihull_runtime.artifacts.registry import transfer
    from trihull_runtime.artifacts.registry.layouts import LayoutRegistry

    found = transfer.describe(LayoutRegistry(published.folder / "image"), published.release.image.index_digest)
    return {manifest.digest for manifest in found.manifests}


def test_a_signal_to_the_server_alone_is_its_container_s_end(docker: Docker, published: Published) -> None:
    with docker.container(published.reference) as (name, container):
        container.wait_ready()
        run("kill", f"-{int(signal.SIGTERM)}", str(container.pid))
        assert docker("wait", name) == "0"
