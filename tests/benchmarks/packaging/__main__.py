"""`make bench-packaging`: packaging's figures, each beside its peer in one run; docs/benchmarks.md explains them."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.packaging import peers
from tests.benchmarks.table import Row, finish, median
from tests.container import containers, engines
from tests.container.conftest import Published
from tests.emulated import faulty, registries
from trihull_packaging import bases, builder, lock, spec
from trihull_packaging.builder import Options
from trihull_packaging.oci import image
from trihull_packaging.progress import Progress
from trihull_packaging.steps import index, layers
from trihull_runtime.artifacts.publishing import run as publishing
from trihull_runtime.artifacts.registry.layout import host_platform
from trihull_runtime.contract import Release

DIGITS: Final = Path("stacks/models/digits")
RESULT: Final = Path("build/bench/packaging.json")
PAIRS: Final = 10
LARGE_BYTES: Final = 500_000_000
MB: Final = 1e6


def main() -> int:
    """Measure everything; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="th-bench.", dir="/tmp") as folder:
        state = Path(folder)
        release = prepared(state)
        rows = [
            *changes(state, release),
            *sizes(state, release),
            memory(state),
            cold(state),
            *starts(state, release),
            verify(state),
        ]
    return finish("packaging", rows, RESULT)


def prepared(state: Path) -> Release:
    """Train and pack the model once, and keep what the gates left."""
    print("preparing: one release of stacks/models/digits", flush=True)
    shutil.copytree(DIGITS, state / "digits")
    progress = Progress()
    model, scratch = state / "digits", state / "scratch"
    scratch.mkdir()
    release = builder.package_model(model, state / "release", Options(), progress)
    builder.pass_gates(spec.load(model), model, lock.Lock.read(model / lock.FILE), scratch, progress)
    return release


def changed(state: Path, size_bytes: int = 0) -> bytes:
    """Give the model other bytes: of its own size, or random ones of another size."""
    graph = state / "scratch/model.onnx"
    if size_bytes:
        with graph.open("wb") as file:
            for _ in range(size_bytes // 1_000_000):
                file.write(os.urandom(1_000_000))
        return b""
    data = graph.read_bytes()[:-32] + secrets.token_bytes(32)
    graph.write_bytes(data)
    return data


def assembled(state: Path, registry: str | None, *, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Pack what is in `state`, and push it, in a process of its own; `wall_s` is that of the whole process."""
    output = state / f"out{time.monotonic_ns()}"
    command = [sys.executable, "-m", "tests.benchmarks.packaging.change", str(state), str(output)]
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, *([registry] if registry else [])],
        env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    wall_s = time.perf_counter() - begun
    assert done.returncode == 0, done.stderr
    shutil.rmtree(output)
    return {**json.loads(done.stdout), "wall_s": wall_s}


def below(state: Path, host: str) -> str:
    """Push the image without the model's layer, which the peers build on; returns its reference."""
    model = state / "digits"
    found = lock.Lock.read(model / lock.FILE)
    platforms = {
        platform: layers.environment(base, "server", found.platforms[platform].wheels, gpu=False).layers
        for platform, base in bases.locked(found, None, model, "the lock").items()
    }
    indexed = index.run(state / "below", platforms, "trihull_runtime.server", builder.SERVER_PORTS, {})
    assert image.USER
    source = publishing.Source("base", state / "below", indexed.index.digest)
    (outcome,) = publishing.to_all([source], {"bench": f"{host}/below:1"}, lambda _: None)
    assert outcome.problem == "", outcome.problem
    return f"{host}/below:1"


def changes(state: Path, release: Release) -> list[Row]:
    """A changed model: our layers, index, evidence and push of two architectures, beside each peer's build and push."""
    print(f"a changed model: {PAIRS} rounds of ours, buildah and docker in turn", flush=True)
    ours: list[dict[str, Any]] = []
    samples: dict[str, list[float]] = {}
    with (
        registries.running(state / "registry") as server,
        engines.folder_of("bench") as folder,
        engines.docker(folder) as daemon,
        faulty.before(server.host) as proxy,
    ):
        base = below(state, server.host)
        tools: list[peers.Buildah | peers.DockerBuild] = [
            peers.Buildah(state / "buildah", "vfs"),
            peers.DockerBuild(daemon, "vfs"),
        ]
        made = [peers.context(state / f"context{n}", base, f"{server.host}/peer{n}:1", "digits") for n in range(2)]
        for number in range(PAIRS + 1):  # the first round fills every cache and is not counted
            model = changed(state)
            found = assembled(state, f"{server.host}/ours:1")
            if number:
                ours.append(found)
            for tool, place in zip(tools, made, strict=True):
                place.change(model)
                seconds = tool.build_and_push(place)
                if number:
                    samples.setdefault(tool.name, []).append(seconds)
        changed(state)
        assembled(state, f"{proxy.host}/ours:2")
        before = {"all": proxy.sent(), "image": 0}
        changed(state)
        seen = len(proxy.seen)
        digest = assembled(state, f"{proxy.host}/ours:3")["digest"]
        before["all"] = proxy.sent() - before["all"]
        before["image"] = _image_bytes(proxy, seen, digest)
    best, times = min(samples.items(), key=lambda item: median(item[1]))
    wall = [one["wall_s"] for one in ours]
    inside = [one["seconds"] for one in ours]
    parts = {name: [one[name] for one in ours] for name in ("build_s", "push_s")}
    compressed = _layers(state / "release", release)[-1]["size"]
    return [
        Row("model changed, layers + index + push, two architectures: s, whole process", median(wall),
            ">= 5 x the faster peer", median(times) >= 5 * median(wall), median(times), best,
            {"ours": wall, **samples}),
        Row("the same, in a running process: s", median(inside), "<= 0.5", median(inside) <= 0.5,
            median(times), best, {"ours": inside, **parts}),
        Row("the same, image alone: bytes sent", before["image"], f"<= {compressed} + 8,000",
            before["image"] <= compressed + 8000, samples={"ours": [before["image"]]}),
        Row("the same, with all evidence: bytes sent", before["all"], "stated", True,
            samples={"ours": [before["all"]]}),
    ]  # fmt: skip


def _image_bytes(proxy: faulty.Proxy, seen: int, digest: str) -> int:
    """Add up what was sent before the index was there, and the index: what comes after it is evidence."""
    total = 0
    for method, path, length in proxy.seen[seen:]:
        total += length
        if method == "PUT" and path.endswith(f"/manifests/{digest}"):
            return total
    raise AssertionError("the index was never written")


def _layers(folder: Path, release: Release) -> list[dict[str, Any]]:
    blobs = folder / "image/blobs/sha256"
    top = json.loads((blobs / release.image.index_digest.removeprefix("sha256:")).read_bytes())
    manifest = json.loads((blobs / top["manifests"][0]["digest"].removeprefix("sha256:")).read_bytes())
    return list(manifest["layers"])


def sizes(state: Path, release: Release) -> list[Row]:
    """The image's size, beside the same base with BentoML's closure and the same model."""
    print("sizes: installing BentoML's closure", flush=True)
    model = state / "digits"
    found = lock.Lock.read(model / lock.FILE)
    base = bases.locked(found, None, model, "the lock")[host_platform()]
    bento, name = peers.bentoml_layer(state / "bentoml", base)
    ours = _layers(state / "release", release)
    own = sum(entry["size"] for entry in ours) / MB
    base_mb = sum(layer.size_bytes for layer in base.layers) / MB
    model_mb = ours[-1]["size"] / MB
    peer = base_mb + bento.size_bytes / MB + model_mb
    blobs = state / "release/image/blobs/sha256"
    unpacked = sum(_unpacked(blobs / entry["digest"].removeprefix("sha256:")) for entry in ours) / MB
    peer_unpacked = sum(_unpacked(layer.path) for layer in (*base.layers, bento)) / MB
    return [
        Row("image, compressed: MB", own, "<= 80, and <= 0.6 x the peer", own <= min(80, 0.6 * peer), peer, name,
            {"ours": [own]}),
        Row("image, unpacked: MB", unpacked, "<= 210", unpacked <= 210, peer_unpacked, name, {"ours": [unpacked]}),
    ]  # fmt: skip


def _unpacked(path: Path) -> int:
    """Return the bytes of the files in a layer."""
    import tarfile

    with tarfile.open(path) as tar:
        return sum(member.size for member in tar if member.isreg())


def memory(state: Path) -> Row:
    """How much a process grows while it packs and pushes a model of 500 MB that does not compress."""
    print("memory: a model of 500 MB", flush=True)
    before = (state / "scratch/model.onnx").read_bytes()
    changed(state, LARGE_BYTES)
    with registries.running(state / "registry-large") as server:
        ours = assembled(state, f"{server.host}/large")["growth_bytes"] / MB
        peer, name = peers.oras_growth(state / "oras", server.host, state / "scratch/model.onnx")
    (state / "scratch/model.onnx").write_bytes(before)
    shutil.rmtree(state / "registry-large")
    what = "memory growth, packing and pushing 500 MB: MB"
    return Row(what, ours, "<= 64", ours <= 64, peer / MB, name, {"ours": [ours], name: [peer / MB]})


def cold(state: Path) -> Row:
    """Layers and index with empty caches, downloads included, but for the base and the slow compression."""
    print("cold: empty caches, in turn with slow and fast compression", flush=True)
    from trihull_packaging import cache

    fast: list[float] = []
    slow: list[float] = []
    for number in range(3):
        for values, code in ((fast, FAST), (slow, SLOW)):
            home = state / f"cold{number}{code is FAST}"
            shutil.copytree(cache.home() / "bases", home / "packaging/bases", copy_function=os.link, symlinks=True)
            environment = {"TRIHULL_CACHE": str(home), "UV_CACHE_DIR": str(home / "uv")}
            output = state / f"cold-out{number}"
            begun = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", code, str(state), str(output)],
                env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
            values.append(time.perf_counter() - begun)
            assert done.returncode == 0, done.stderr
            shutil.rmtree(output)
            shutil.rmtree(home)
    what = "cold, empty caches, without base and slow compression: s, whole process"
    return Row(what, median(fast), "<= 5", median(fast) <= 5, samples={"ours": fast, "with slow compression": slow})


SLOW: Final = """
import sys; from pathlib import Path
from tests.benchmarks.packaging import change
change.main(Path(sys.argv[1]), Path(sys.argv[2]), None)
"""
FAST: Final = f"""
from trihull_packaging.oci import tars
tars.SMALL = tars.FAST
{SLOW}"""


def starts(state: Path, release: Release) -> list[Row]:
    """From the start of the container's process until the model can be asked."""
    print("starts: containerd and runc, Docker", flush=True)
    runc, docker = [], []
    with registries.running(state / "registry-starts") as server:
        source = publishing.source(state / "release")
        (outcome,) = publishing.to_all([source], {"bench": f"{server.host}/digits"}, lambda _: None)
        assert outcome.problem == ""
        published = Published(release, state / "release", f"{server.host}/digits@{release.image.index_digest}")
        with engines.folder_of("starts") as folder, engines.containerd(folder) as containerd:
            containerd.pull(published.reference)
            for _ in range(5):
                with (
                    engines.network() as (name, host),
                    containerd.container(published.reference, name, host) as container,
                ):
                    runc.append(_ready_s(container))
        with engines.folder_of("starts") as folder, engines.docker(folder) as daemon:
            daemon("pull", published.reference)
            for _ in range(5):
                with daemon.container(published.reference) as (_, container):
                    docker.append(_ready_s(container))
    return [
        Row("process start to ready, containerd + runc: s", median(runc), "<= 1", median(runc) <= 1,
            samples={"ours": runc}),
        Row("process start to ready, Docker: s", median(docker), "<= 1", median(docker) <= 1,
            samples={"ours": docker}),
    ]  # fmt: skip


def _ready_s(container: containers.Container) -> float:
    """Wait until ready; returns the seconds since the process began (proc(5): field 22, in ticks since boot)."""
    container.wait_ready_closely()
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    fields = Path(f"/proc/{container.pid}/stat").read_text().rpartition(")")[2].split()
    return now - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def verify(state: Path) -> Row:
    """`trihull verify` of a release on disk."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        containers.run(*containers.TRIHULL, "verify", state / "release")
        times.append(time.perf_counter() - begun)
    return Row("trihull verify, release on disk: s", median(times), "<= 1", median(times) <= 1, samples={"ours": times})


if __name__ == "__main__":
    sys.exit(main())
