"""What a deploy prints at its end: a table for people, one JSON document for machines, one error for the exit code."""

import json
from typing import Final

from trihull_infra.deploy import pages
from trihull_infra.deploy.report import Report, Step
from trihull_infra.deploy.stacks import changes_text
from trihull_infra.errors import DeployError

_NO_LOGIN: Final = "PULUMI_ACCESS_TOKEN must be set"  # what the engine says when nobody chose where the state lives
_LOGIN: Final = (
    "choose where the state lives: `pulumi login s3://...` (gs://, azblob://, file://), or PULUMI_BACKEND_URL; "
    "`trihull doctor {environment}` says what else is missing"
)


def as_json(report: Report) -> str:
    """Return the report as JSON with a final newline."""
    return json.dumps(report.to_value(), indent=2) + "\n"


def as_text(report: Report) -> str:
    """Return the report as a table, with the fleet and the routers below it."""
    rows = [(step.cloud or "-", step.project, _state(step), f"{step.result.seconds:.1f} s") for step in report.steps]
    lines = [f"{cloud:<6} {step:<8} {seconds:>8}  {state}" for cloud, step, state, seconds in rows]
    if report.fleet is not None:
        lines += ["", f"{'site':<6} {'region':<14} {'residency':<9} priority  endpoint"]
        lines += [
            f"{site.name:<6} {site.region:<14} {site.residency:<9} {site.priority:>8}  "
            f"{site.endpoint.url if site.endpoint is not None else 'none yet'}"
            for site in report.fleet.sites
        ]
    if report.routers:
        lines += ["", *(f"router on {cloud:<6} {url}" for cloud, url in sorted(report.routers.items()))]
    lines += pages.lines(report.pages, report.environment)
    return "\n".join(lines) + "\n" if lines else ""


def failure(report: Report) -> DeployError:
    """Return the error that names every failed step and what to do."""
    titles: dict[str, list[str]] = {}  # one problem of several stacks, such as no login, is told once
    for step in report.failed:
        titles.setdefault(step.result.problem, []).append(step.title)
    told = "\n".join(f"  {', '.join(names)}: {_indented(problem)}" for problem, names in titles.items())
    what = ", ".join(dict.fromkeys(step.title for step in report.failed))
    others = "the others went on, and " if _others_went_on(report) else ""
    again = f"`trihull {report.action} {report.environment}`"
    login = f"\n{_LOGIN.format(environment=report.environment)}" if _NO_LOGIN in told else ""
    return DeployError(f"{what} failed; {others}{again} run again completes it\n{told}{login}")


def _others_went_on(report: Report) -> bool:
    """Whether anything was done for a cloud of which nothing failed."""
    failed = {step.cloud for step in report.failed}
    return any(step.cloud not in failed for step in report.steps)


def _state(step: Step) -> str:
    if not step.result.ok:
        return "FAILED"
    return changes_text(step.result.changes) if step.result.changes else "ok"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
