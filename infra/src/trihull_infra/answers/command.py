"""`trihull answers ENV` on the command line: a line for every site and every router, exit 3 on a difference."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trihull_infra.cloud import Cloud

if TYPE_CHECKING:
    from trihull_infra.answers.comparing import Comparison
    from trihull_infra.answers.targets import Target


@click.command("answers")
@click.argument("environment")
@click.option("--model", default="digits", show_default=True, help="The model to ask.")
@click.option(
    "--site", "sites", multiple=True, type=click.Choice([cloud.value for cloud in Cloud]),
    help="Only this site and its router; may be given several times. All of the environment's when not given.",
)  # fmt: skip
@click.option(
    "--stacks", type=click.Path(path_type=Path, file_okay=False), default=Path("stacks"), show_default=True,
    help="The folder with site/, serving/, routing/ and environments/.",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(1, 10_000), default=32, show_default=True, help="Rows in one request.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 3600), default=30, show_default=True,
    help="Seconds of one request.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    environment: str,
    model: str,
    sites: tuple[str, ...],
    stacks: Path,
    batch: int,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Ask every site and every router of ENVIRONMENT all rows of its release's test split, and compare the answers.

    A site is asked directly, at its endpoint over mutual TLS, so that each one answers every row; a router is asked as
    clients ask it, and says which site answered. Exit 3 when an answer is missing or differs from the released model's.
    """
    from trihull_infra.answers.comparing import compare
    from trihull_runtime.errors import LostError

    asked, notes = _targets(environment, model, sites, stacks)
    errors = sys.stderr
    with click.progressbar(asked, label="asking", file=errors, hidden=as_json or not errors.isatty()) as bar:
        found = [compare(target, model, batch, timeout_s) for target in bar]
    if as_json:
        value = {
            "version": 1,
            "environment": environment,
            "model": model,
            "equal": not any(each.problem for each in found),
            "targets": [each.to_value() for each in found],
            "notes": notes,
        }
        click.echo(json.dumps(value, indent=2))
    else:
        click.echo("\n".join([*_lines(found), *notes]))
    if bad := [each for each in found if each.problem]:
        told = "\n".join(f"  {each.target.title}: {each.problem}" for each in bad)
        raise LostError(f"{len(bad)} of {len(found)} do not answer as the released model does\n{told}")


def _targets(environment: str, model: str, sites: tuple[str, ...], stacks: Path) -> "tuple[list[Target], list[str]]":
    """Read what is to be asked, and what is left out and why."""
    from trihull_infra.answers.targets import targets
    from trihull_infra.deploy import context, display
    from trihull_infra.deploy.flow import Flow
    from trihull_infra.errors import SpecError
    from trihull_runtime.errors import UsageError

    shown = display.make()
    opened = context.open_context(environment, stacks, lambda line: shown.note(f"engine: {line}"))
    clouds = context.chosen(opened.environment, sites)
    documents = opened.documents
    fleet, releases = documents.read_fleet(), documents.read_releases()
    if fleet is None:
        raise SpecError(f"{documents.fleet} is not there: deploy the environment first (trihull up {environment})")
    flow = Flow(opened, clouds, shown, "answers")
    outputs = {cloud.value: found for cloud, found in flow.sites(show_secrets=True).items()}
    if flow.stop.signal is not None:
        raise click.exceptions.Exit(128 + int(flow.stop.signal))
    names = {cloud.value for cloud in clouds}
    routers = {name: url for name, url in documents.read_routers().items() if name in names}
    notes = []
    if opened.environment.routing.clients_secret is not None and routers:
        notes.append(f"{len(routers)} routers were not asked: they want a client's key")
        routers = {}
    asked = [each for each in targets(fleet, releases, documents.folder, outputs, routers, model) if each.name in names]
    if not asked:
        raise UsageError(f"{environment} has no site that takes requests")
    return asked, notes


def _lines(found: "Sequence[Comparison]") -> list[str]:
    """Return a table: who was asked, how many rows were sent, how many were equal, and who answered them."""
    rows = [("asked", "rows", "equal", "answered by", "")]
    for each in found:
        by = ", ".join(f"{site} {count}" for site, count in each.sites.items()) or "nobody"
        rows.append((each.target.title, str(each.rows), str(each.equal), by, "DIFFERS" if each.problem else "ok"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        f"{name:<{widths[0]}}  {sent:>{widths[1]}}  {equal:>{widths[2]}}  {by:<{widths[3]}}  {state}".rstrip()
        for name, sent, equal, by, state in rows
    ]
