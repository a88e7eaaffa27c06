"""A preview whose stacks cannot be read, without an engine: each cloud is told once, and nothing is tried again."""

from collections.abc import Sequence
from pathlib import Path

from tests.deployments import STACKS, Recording
from trihull_infra import environment
from trihull_infra.cloud import Cloud
from trihull_infra.deploy.context import Context, Documents
from trihull_infra.deploy.flow import Flow
from trihull_infra.deploy.stacks import Action, Result, Task

LOGIN = "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions"
CLOUDS = (Cloud.AWS, Cloud.GCP)


def flow(tmp_path: Path, refused: Sequence[Cloud]) -> tuple[Flow, list[str]]:
    """Return a preview on which the stacks of `refused` cannot be read, and what is started, in order."""
    started: list[str] = []

    def run(tasks: Sequence[Task], display: object, stop: object) -> list[Result]:
        started.extend(f"{task.title} {task.action}" for task in tasks)
        return [Result(task.title, 0.1, problem=LOGIN if task.cloud in refused else "") for task in tasks]

    spec = environment.load("local", STACKS / "environments")
    context = Context(spec, STACKS, Documents(tmp_path, "local"), Path("no engine"), {}, None)
    return Flow(context, CLOUDS, Recording(), "preview", run), started


def test_a_stack_that_cannot_be_read_is_not_previewed_again(tmp_path: Path) -> None:
    preview, started = flow(tmp_path, CLOUDS)
    report = preview.preview()
    assert started == [f"{cloud} site {Action.OUTPUTS}" for cloud in CLOUDS]
    assert [(step.cloud, step.project) for step in report.failed] == [(cloud, "site") for cloud in CLOUDS]
    assert isinstance(preview.display, Recording)
    assert not any("not previewed" in line for line in preview.display.lines)


def test_the_other_clouds_are_previewed(tmp_path: Path) -> None:
    preview, started = flow(tmp_path, [Cloud.AWS])
    report = preview.preview()
    assert f"gcp site {Action.PREVIEW}" in started
    assert f"aws site {Action.PREVIEW}" not in started
    assert [step.cloud for step in report.failed] == [Cloud.AWS]
