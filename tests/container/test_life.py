"""How the container ends, whom it answers with certificates, and that nothing outlives a session of these tests."""

import functools
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container import engines
from tests.container.conftest import Published
from tests.container.containers import alive, run, until
from tests.container.engines import Docker
from tests.emulated.registries import self_signed

pytestmark = pytest.mark.timeout(300)


def test_sigterm_drains_and_ends_well(docker: Docker, published: Published) -> None:
    docker("pull", published.reference)
    with docker.container(published.reference, "--env", "TRIHULL_DRAIN_GRACE_S=5") as (name, container):
        container.wait_ready()
        docker("kill", "--signal", "TERM", name)
        until(lambda: not container.answers("/v2/health/ready"), "not ready")
        assert "270" in container.check(published.rows)  # whoever has not noticed yet is still answered
        assert docker("wait", name) == "0"


def test_a_signal_to_the_server_alone_is_its_container_s_end(docker: Docker, published: Published) -> None:
    with docker.container(published.reference) as (name, container):
        container.wait_ready()
        run("kill", f"-{int(signal.SIGTERM)}", str(container.pid))
        assert docker("wait", name) == "0"


def test_sigkill_leaves_no_process(docker: Docker, published: Published) -> None:
    with docker.container(published.reference) as (name, container):
        container.wait_ready()
        docker("kill", "--signal", "KILL", name)
        assert docker("wait", name) == "137"
        until(lambda: not alive(container.pid), "the process's end")


def test_with_certificates_it_answers_nobody_without_one(docker: Docker, published: Published, tmp_path: Path) -> None:
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


def test_an_engine_is_gone_when_its_session_ends() -> None:
    with engines.folder_of("gone") as folder:
        with engines.docker(folder) as docker:
            pid = int((folder / "pid").read_text())
            assert docker("version", "--format", "{{.Server.Version}}")
        assert not alive(pid)
        assert str(folder) not in Path("/proc/self/mountinfo").read_text()


def test_a_session_killed_at_once_leaves_nothing_and_the_next_one_runs(published: Published) -> None:
    contained = Path(__file__).parents[2] / ".ci" / "contained"
    command = ["sh", str(contained), sys.executable, "-m", "tests.container.session", published.reference]
    folders: list[Path] = []
    for _ in range(2):
        session = subprocess.Popen(command, cwd=contained.parents[1], stdout=subprocess.PIPE, text=True)
        try:
            assert session.stdout is not None
            folders.append(Path(session.stdout.readline().strip()))
            assert folders[-1].is_dir()
            below = descendants(session.pid)
            names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in below}
            assert {"dockerd", "containerd", "containerd-shim", "python3"} <= names
        finally:
            session.kill()
            session.communicate()
        for pid in below:
            until(functools.partial(_is_gone, pid), f"the end of {pid}")
        assert str(folders[-1]) not in Path("/proc/self/mountinfo").read_text()
    first, second = folders
    assert not first.exists()  # the second session found what the first had left, and took it away
    with engines.folder_of("sweep"):
        assert not second.exists()


def _is_gone(pid: int) -> bool:
    return not alive(pid)


def descendants(pid: int) -> set[int]:
    """Return the processes that a process started, and those that they did."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    children = {int(word) for word in text.split()}
    return children.union(*(descendants(child) for child in children))
