"""A changed model: our layers, index, evidence and push of two architectures, beside each peer's build and push.

docs/decisions/0022 says which peer is the one to beat.
"""

from typing import Any, Final

from tests.benchmarks.packaging import peers
from tests.benchmarks.packaging.workspace import GATES, Workspace
from tests.benchmarks.table import Row, Target
from tests.container import engines
from tests.emulated import faulty, registries
from trihull_packaging import bases, builder, lock
from trihull_packaging.steps import index, layers
from trihull_runtime.artifacts.publishing import run as publishing

PAIRS: Final = 10
OVERHEAD_BYTES: Final = 8000


def rows(work: Workspace) -> list[Row]:
    """Measure in turn, so that what else runs on the machine meets everybody."""
    print(f"a changed model: {PAIRS} rounds of ours, buildah and docker in turn", flush=True)
    image: list[dict[str, Any]] = []
    whole: list[dict[str, Any]] = []
    theirs: dict[str, list[float]] = {}
    with (
        registries.running(work.folder / "registry") as server,
        engines.folder_of("bench") as folder,
        engines.docker(folder, "overlay2") as daemon,
    ):
        base = below(work, server.host)
        vfs = peers.Buildah(work.folder / "buildah-vfs", "vfs")
        both = peers.Buildah(work.folder / "buildah-both", "overlay", both=True)
        tools: list[peers.Buildah | peers.DockerBuild] = [
            vfs,
            both,
            peers.Buildah(work.folder / "buildah-overlay", "overlay"),
            peers.DockerBuild(daemon, "overlay2"),
        ]
        made = [
            peers.context(work.folder / f"context{n}", base, f"{server.host}/peer{n}:1", "digits")
            for n in range(len(tools))
        ]
        for number in range(PAIRS + 1):  # the first round fills every cache and is not counted
            work.change()
            image.append(work.assemble(f"{server.host}/image:1", evidence=False))
            model = work.change()
            whole.append(work.assemble(f"{server.host}/whole:1"))
            for tool, place in zip(tools, made, strict=True):
                place.change(model)
                seconds = tool.build_and_push(place)
                if number:
                    theirs.setdefault(tool.name, []).append(seconds)
        sent = bytes_sent(work, server.host)
    del image[0], whole[0]
    alone = [one["seconds"] - one["evidence_s"] for one in image]
    same_job = {both.name: theirs.pop(both.name)}
    compressed = work.layers()[-1]["size"]
    parts = {name: [one[name] for one in whole] for name in ("wall_s", "seconds", "build_s", "evidence_s", "push_s")}
    return [
        Row("model changed: layers, index, push; both architectures, in the process that gated it: s",
            alone, Target(at_most=0.5, times=5), same_job, peers.SETUP_BOTH,
            {"push_s": [one["push_s"] for one in image]}),
        Row("the same beside peers that make one architecture: s", alone, peers=theirs, setup=peers.SETUP),
        Row("the same beside buildah where overlay cannot be mounted (vfs), one architecture: s",
            alone, peers={name: found for name, found in theirs.items() if name == vfs.name}, setup=peers.SETUP),
        Row("with all evidence: s", parts["seconds"], Target(at_most=0.5), same_job, peers.SETUP_BOTH, parts),
        Row("with all evidence, a whole process, its start and imports counted: s",
            parts["wall_s"], peers=same_job, setup=peers.SETUP_BOTH),
        Row("conversion and gates before that: s", [sum(work.seconds[name] for name in GATES)],
            parts={name: [work.seconds[name]] for name in GATES}),
        Row(f"bytes sent, image alone (its model is {compressed:,} compressed)", [sent["image"]],
            Target(at_most=compressed + OVERHEAD_BYTES)),
        Row("bytes sent with all evidence", [sent["all"]]),
    ]  # fmt: skip


def below(work: Workspace, host: str) -> str:
    """Push the image without the model's layer, which the peers build on; returns its reference."""
    found = lock.Lock.read(work.model / lock.FILE)
    wheels = {platform: one.wheels for platform, one in found.platforms.items()}
    made = layers.environments(bases.locked(found, None, work.model, "the lock"), "server", wheels, gpu=False)
    platforms = {platform: one.layers for platform, one in made.items()}
    layout = work.folder / "below"
    indexed = index.run(layout, platforms, "trihull_runtime.server", builder.SERVER_PORTS, {})
    source = publishing.Source("base", layout, indexed.index.digest)
    (outcome,) = publishing.to_all([source], {"bench": f"{host}/below:1"}, lambda _: None)
    assert outcome.problem == "", outcome.problem
    return f"{host}/below:1"


def bytes_sent(work: Workspace, host: str) -> dict[str, int]:
    """Count what a changed model sends, where all but the model was before: of the image, and of everything."""
    sent = {}
    with faulty.before(host) as proxy:
        work.assemble(f"{proxy.host}/counted:1")
        for name, evidence in (("image", False), ("all", True)):
            work.change()
            already = len(proxy.seen)
            work.assemble(f"{proxy.host}/counted:1", evidence=evidence)
            sent[name] = sum(length for _, _, length in proxy.seen[already:])
    return sent
