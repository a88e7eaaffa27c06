"""From the start of the container's process until the model can be asked; and how long a release takes to verify."""

import os
import time
from pathlib import Path
from typing import Final

from tests.benchmarks.packaging.workspace import Workspace
from tests.benchmarks.table import Row, Target
from tests.container import containers, engines
from tests.emulated import registries
from trihull_runtime.artifacts.publishing import run as publishing

ROUNDS: Final = 5
WITHIN: Final = Target(at_most=1)
IMPORTS: Final = """
import time
begun = time.perf_counter()
from trihull_runtime.server import process, settings
import onnxruntime
print(time.perf_counter() - begun)
"""


def rows(work: Workspace) -> list[Row]:
    """Start the image again and again in both engines."""
    print("starts: containerd and runc, Docker", flush=True)
    runc, docker, imports = [], [], []
    with (
        registries.running(work.folder / "registry-starts") as server,
        engines.folder_of("starts") as folder,
        engines.containerd(folder / "containerd") as containerd,
        engines.docker(folder / "docker", "overlay2") as daemon,
    ):
        target = f"{server.host}/digits"
        (outcome,) = publishing.to_all([publishing.source(work.folder / "release")], {"bench": target}, lambda _: None)
        assert outcome.problem == "", outcome.problem
        reference = f"{target}@{work.release.image.index_digest}"
        containerd.pull(reference)
        daemon("pull", reference)
        for _ in range(ROUNDS):
            with engines.network() as (name, host), containerd.container(reference, name, host) as container:
                runc.append(ready_s(container))
            with daemon.container(reference) as (_, container):
                docker.append(ready_s(container))
            alone = ("run", "--rm", "--network", "none", "--entrypoint", "/usr/bin/python3")
            imports.append(float(daemon(*alone, reference, "-c", IMPORTS)))
    return [
        Row("container's process until ready, containerd and runc: s", runc, WITHIN),
        Row("container's process until ready, Docker: s", docker, WITHIN, parts={"imports": imports}),
        Row("of that, imports: s", imports),
        Row("trihull verify, a release on disk, a whole process: s", verify_s(work), WITHIN),
    ]


def ready_s(container: containers.Container) -> float:
    """Wait until ready; returns the seconds since the process began (proc(5): field 22, in ticks since boot)."""
    container.wait_ready_closely()
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    fields = Path(f"/proc/{container.pid}/stat").read_text().rpartition(")")[2].split()
    return now - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def verify_s(work: Workspace) -> list[float]:
    """Verify a release as a person does."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        containers.run(*containers.TRIHULL, "verify", work.folder / "release")
        times.append(time.perf_counter() - begun)
    return times
