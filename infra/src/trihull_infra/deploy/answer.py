"""What a deploy prints at its end: a table for people, one JSON document for machines, one error for the exit code."""

import json

from trihull_infra.deploy import pages
from trihull_infra.deploy.report import Report, Step
from trihull_infra.deploy.stacks import changes_text
from trihull_infra.errors import DeployError


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
    told = "\n".join(f"  {step.title}: {_indented(step.result.problem)}" for step in report.failed)
    what = ", ".join(step.title for step in report.failed)
    again = f"`trihull {report.action} {report.environment}`"
    return DeployError(f"{what} failed; the others went on, and {again} run again completes it\n{told}")


def _state(step: Step) -> str:
    if not step.result.ok:
        return "FAILED"
    return changes_text(step.result.changes) if step.result.changes else "ok"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
