"""The peers: Docker, buildah, oras and BentoML, each set up as its own documentation has it."""

import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.table import MissingError
from tests.container.containers import run
from tests.container.engines import Docker
from trihull_packaging import contents, resolver
from trihull_packaging.base import interpreter
from trihull_packaging.base.image import Base
from trihull_packaging.oci import layers, tars
from trihull_packaging.oci.layers import Layer
from trihull_packaging.steps.layers import clean

SETUP_BOTH: Final = (
    "`buildah bud --platform linux/amd64,linux/arm64 --manifest`, `buildah manifest push --all`; else the same"
)
SETUP: Final = (
    "FROM the same image without its model's layer, COPY of the same model; build, then push to the same registry; "
    "`buildah bud --layers --isolation chroot`, `docker build` with its cache and without BuildKit, which Debian's "
    "docker.io cannot reach for want of buildx; one architecture, no evidence; a whole process each"
)
# BentoML serving an ONNX model: its server, the runtime, and what its `onnx` and `sklearn` frameworks import.
BENTOML: Final = ("bentoml>=1.4,<1.5", "onnxruntime==1.32.0", "onnx>=1.19,<1.21", "scikit-learn>=1.7,<1.9", "numpy<2.5")
BENTOML_SETUP: Final = (
    f"{', '.join(BENTOML)}, installed by uv for the same Python and processor, cleaned, compiled and packed as ours, "
    "on the same base, with the same model"
)
ORAS: Final = "oras==0.2.43"
PUSH_BY_ORAS: Final = """
import json, re, sys
from pathlib import Path
import oras.client
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
client = oras.client.OrasClient(hostname=sys.argv[1], insecure=True)
idle = peak()
client.push(target=f"{sys.argv[1]}/oras:1", files=[sys.argv[2]], disable_path_validation=True)
print(json.dumps({"growth_bytes": peak() - idle}))
"""


@dataclass(frozen=True)
class Context:
    """A folder with a Containerfile that puts the model on an image without it; `tag` is where it is pushed to."""

    folder: Path
    base: str
    tag: str

    def change(self, model: bytes) -> None:
        """Put another model there."""
        (self.folder / "model.onnx").write_bytes(model)


def context(folder: Path, base: str, tag: str, name: str) -> Context:
    """Write a build context."""
    folder.mkdir(parents=True)
    (folder / "Containerfile").write_text(f"FROM {base}\nCOPY model.onnx /models/{name}/model.onnx\n")
    return Context(folder, base, tag)


class Buildah:
    """buildah with a storage of its own; it makes this machine's architecture, or `both` as we do."""

    def __init__(self, folder: Path, driver: str, *, both: bool = False) -> None:
        self.lists = itertools.count() if both else None
        self.storage = (
            "--root", str(folder / "storage"), "--runroot", str(folder / "run"), "--storage-driver", driver,
        )  # fmt: skip
        self.name = f"{run('buildah', '--version').stdout.split(' (')[0].replace(' version', '').strip()}, {driver}"
        self.name += ", both architectures" if both else ""

    def build_and_push(self, made: Context) -> float:
        """Return the seconds of both."""
        begun = time.perf_counter()
        command = ["bud", "--layers", "--isolation", "chroot", "--tls-verify=false"]
        if self.lists is None:
            named, push = ["--tag", made.tag], ["push", "--tls-verify=false", made.tag]
        else:
            name = f"list{next(self.lists)}"  # a list that is there already would be added to
            named = ["--platform", "linux/amd64,linux/arm64", "--manifest", name]
            push = ["manifest", "push", "--all", "--tls-verify=false", name]
        run("buildah", *self.storage, *command, *named, "--file", made.folder / "Containerfile", made.folder)
        run("buildah", *self.storage, *push, f"docker://{made.tag}")
        return time.perf_counter() - begun


class DockerBuild:
    """docker build and push by a daemon of one's own."""

    def __init__(self, docker: Docker, driver: str) -> None:
        self.docker = docker
        self.name = f"Docker {docker('version', '--format', '{{.Server.Version}}')}, {driver}"

    def build_and_push(self, made: Context) -> float:
        """Return the seconds of both."""
        begun = time.perf_counter()
        command = ["docker", "--host", self.docker.address, "build", "--quiet", "--tag", made.tag]
        done = subprocess.run(
            [*command, "--file", str(made.folder / "Containerfile"), str(made.folder)],
            env={**os.environ, "DOCKER_BUILDKIT": "0"}, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.docker("push", "--quiet", made.tag)
        return time.perf_counter() - begun


def oras_growth(folder: Path, host: str, file: Path) -> tuple[float, str]:
    """Return how many bytes of memory oras needs beside its imports to push a file, and its name."""
    _uv("venv", folder)
    python = folder / "bin" / "python"
    _uv("pip", "install", "--python", python, ORAS)
    done = run(python, "-c", PUSH_BY_ORAS, host, file, timeout_s=300)
    return float(json.loads(done.stdout.splitlines()[-1])["growth_bytes"]), ORAS.replace("==", " ")


def bentoml_layer(folder: Path, base: Base) -> tuple[Layer, str]:
    """Return the layer of BentoML's closure on a base, made as ours is (installed, cleaned, packed), and its name."""
    folder.mkdir(parents=True)
    target = folder / "dependencies"
    _uv(
        "pip", "install", "--target", target, "--python", sys.executable,
        *resolver.target(base.python_version, base.architecture), "--link-mode", "copy", *BENTOML,
    )  # fmt: skip
    found = contents.installed(target)
    clean(target)
    interpreter.compile_folder(base.compiler, target, "/opt/bentoml")
    made = layers.write_layer(tars.entries_of(target, "opt/bentoml"), folder, "BentoML", (), tars.SMALL)
    return made, f"BentoML {found['bentoml'][0]} + onnxruntime {found['onnxruntime'][0]}, {len(found)} packages"


def _uv(*arguments: str | Path) -> None:
    done = subprocess.run(
        [resolver.uv_binary(), *arguments, "--quiet"],
        env=resolver.clean_environment(), capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise MissingError(f"a peer cannot be installed; check that the package index can be reached: {said[:500]}")
