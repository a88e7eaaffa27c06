import io
from pathlib import Path

import pytest
from rich.console import Console

from trihull_infra.cloud import Cloud
from trihull_infra.deploy import answer, display
from trihull_infra.deploy.display import LineDisplay, TableDisplay
from trihull_infra.deploy.report import Report, Step
from trihull_infra.deploy.stacks import Action, Diagnostic, Project, Result, Task, type_text

URN = "urn:pulumi:local-aws::trihull-site::aws:s3/bucket:Bucket::releases"
BUCKET = "aws:s3/bucket:Bucket"


def task(action: Action = Action.UP) -> Task:
    return Task(Cloud.AWS, Project.SITE, "local-aws", action, Path(), Path(), {})


@pytest.mark.parametrize(
    ("token", "short"),
    [
        (BUCKET, "aws:s3:Bucket"),
        ("kubernetes:apps/v1:Deployment", "kubernetes:apps:Deployment"),
        ("trihull:network:Network", "trihull:network:Network"),
        ("odd", "odd"),
    ],
)
def test_type_tokens_are_shortened(token: str, short: str) -> None:
    assert type_text(token) == short


@pytest.mark.parametrize(
    ("action", "phase", "operation", "token", "text"),
    [
        (Action.UP, "done", "create", BUCKET, "+ aws:s3:Bucket releases created"),
        (Action.UP, "start", "create", BUCKET, None),
        (Action.UP, "failed", "update", BUCKET, "~ aws:s3:Bucket releases failed"),
        (Action.UP, "done", "same", BUCKET, None),
        (Action.UP, "done", "create", "pulumi:pulumi:Stack", None),
        (Action.UP, "done", "create", "pulumi:providers:aws", None),
        (Action.PREVIEW, "start", "delete", BUCKET, "- aws:s3:Bucket releases would be deleted"),
        (Action.PREVIEW, "done", "delete", BUCKET, None),
        (Action.PREVIEW, "start", "replace", BUCKET, "± aws:s3:Bucket releases would be replaced"),
    ],
)
def test_a_step_is_told_once_and_only_when_something_changes(
    action: Action, phase: str, operation: str, token: str, text: str | None
) -> None:
    assert display.step_text(task(action), phase, operation, token, URN) == text


def test_lines_name_their_stack(capsys: pytest.CaptureFixture[str]) -> None:
    lines = LineDisplay()
    lines.started(task())
    lines.step(task(), "done", "create", BUCKET, URN)
    lines.said(task(), Diagnostic("error", "no such\nregion", URN))
    lines.finished(task(), Result("aws site", 1.25, {"create": 1, "same": 2}, problem="no such region"))
    lines.started(task(Action.OUTPUTS))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "[aws site] up local-aws",
        "[aws site] + aws:s3:Bucket releases created",
        f"[aws site] error: {URN}: no such",
        "[aws site] error: region",
        "[aws site] FAILED: 1 create, 2 same, 1.2 s",
    ]


def test_the_table_ends_with_how_each_stack_went() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    table = TableDisplay(console)
    table.started(task())
    table.step(task(), "start", "create", BUCKET, URN)
    table.tick()
    table.said(task(), Diagnostic("warning", "[old] region"))
    table.step(task(), "done", "create", BUCKET, URN)
    table.finished(task(), Result("aws site", 2.0, {"create": 1}))
    assert table.live is None
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "[aws site] [old] region" in printed
    assert "aws:s3:Bucket releases" in printed
    assert "1 create" in printed


def test_nothing_went_on_where_every_cloud_failed() -> None:
    report = Report("dev", "preview")
    report.steps.append(Step(Cloud.AWS, "site", Result("aws site", 1.0, problem="no such bucket")))
    assert str(answer.failure(report)).startswith("aws site failed; `trihull preview dev` run again completes it\n")
    report.steps.append(Step(Cloud.AWS, "serving", Result("aws serving", 1.0, {"same": 3})))
    assert "the others" not in str(answer.failure(report))  # the same cloud is no other
    report.steps.append(Step(None, "dns", Result("dns", 1.0, {"same": 3})))
    assert "the others went on" in str(answer.failure(report))


def test_a_problem_of_several_stacks_is_told_once_and_a_missing_login_with_what_to_do() -> None:
    problem = "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions"
    report = Report("prod", "preview")
    report.steps += [
        Step(cloud, "site", Result(f"{cloud} site", 1.0, problem=problem)) for cloud in (Cloud.AWS, Cloud.GCP)
    ]
    text = str(answer.failure(report))
    assert text.count(problem) == 1
    assert f"  aws site, gcp site: {problem}" in text
    assert "choose where the state lives: `pulumi login s3://...`" in text
    assert "`trihull doctor prod` says what else is missing" in text


def test_the_answer_names_each_failed_step_once_and_says_how_to_go_on() -> None:
    report = Report("local", "up")
    report.steps.append(Step(Cloud.AWS, "site", Result("aws site", 1.0, {"same": 3})))
    report.steps.append(Step(Cloud.GCP, "site", Result("gcp site", 1.0, problem="no quota\nat all")))
    error = answer.failure(report)
    assert error.exit_code == 1
    assert str(error).startswith("gcp site failed; the others went on, and `trihull up local` run again completes it")
    assert "no quota" in str(error)
    assert [line.split() for line in answer.as_text(report).splitlines()] == [
        ["aws", "site", "1.0", "s", "3", "same"],
        ["gcp", "site", "1.0", "s", "FAILED"],
    ]
    assert report.to_value()["ok"] is False
