"""`trihull doctor ENV`: everything asked side by side, told in order; exit code 1 when something will go wrong."""

from collections.abc import Sequence
from pathlib import Path

import click

from trihull_infra.cloud import Cloud


@click.command(name="doctor")
@click.argument("environment")
@click.option(
    "--cloud",
    "clouds",
    multiple=True,
    type=click.Choice([cloud.value for cloud in Cloud]),
    help="Only this cloud; may be given several times. All of the environment's when not given.",
)
@click.option(
    "--stacks",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("stacks"),
    show_default=True,
    help="The folder with site/, serving/, routing/ and environments/.",
)
@click.option("--timeout", "limit_s", type=click.FloatRange(1), default=45, show_default=True, help="Seconds in all.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document on standard output.")
def command(environment: str, clouds: Sequence[str], stacks: Path, limit_s: float, as_json: bool) -> None:
    """Say what a deploy of ENVIRONMENT would stumble over: tools, credentials, APIs, quotas. Changes nothing.

    Exit code 1 when something will go wrong, 65 when the environment's file is not what it must be. For `local` the
    emulators are looked at instead of clouds.
    """
    from trihull_infra import environment as environments
    from trihull_infra.deploy import context
    from trihull_infra.doctor import checks, running, showing
    from trihull_infra.doctor.findings import Status
    from trihull_runtime.errors import UsageError

    folder = stacks.absolute() / "environments"
    if not folder.is_dir():
        raise UsageError(f"{stacks} holds no environments/; run in the project's top folder or give --stacks DIR")
    spec = environments.load(environment, folder)
    wanted = context.chosen(spec, tuple(clouds))
    results = running.told_once(running.run(checks.of(spec, wanted, stacks.absolute()), limit_s))
    click.echo(showing.as_json(environment, results) if as_json else showing.as_text(environment, results), nl=False)
    if any(result.finding.status is Status.FAILED for result in results):
        raise click.exceptions.Exit(1)
