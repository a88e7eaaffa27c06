"""The commands of a deploy: `trihull up`, `preview`, `refresh`, `destroy`, `fleet`, `release`."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trihull_infra.cloud import Cloud

if TYPE_CHECKING:
    from trihull_infra.deploy.flow import Flow
    from trihull_infra.deploy.report import Report

_NO_CHANGES_CODE: Final = 3


def _shared(function: Callable[..., None]) -> Callable[..., None]:
    """Add what every command takes: the environment, the clouds, the folder, the form of the answer."""
    options = [
        click.argument("environment"),
        click.option(
            "--cloud",
            "clouds",
            multiple=True,
            type=click.Choice([cloud.value for cloud in Cloud]),
            help="Only this cloud; may be given several times. All of the environment's when not given.",
        ),
        click.option(
            "--stacks",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("stacks"),
            show_default=True,
            help="The folder with site/, serving/, routing/ and environments/.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document on standard output."),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), function)


_yes = click.option("--yes", is_flag=True, help="Needed where the environment says `protect: true`.")


def _flow(environment: str, clouds: Sequence[str], stacks: Path, action: str, *, yes: bool | None = None) -> "Flow":
    """Read what is asked for, refuse what cannot be, and only then start anything."""
    from trihull_infra import environment as environments
    from trihull_infra.deploy import context, display
    from trihull_infra.deploy.flow import Flow

    folder = stacks.absolute() / "environments"
    if yes is not None and folder.is_dir():
        spec = environments.load(environment, folder)
        context.chosen(spec, tuple(clouds))
        context.confirm(spec, yes, action)
    shown = display.make()
    opened = context.open_context(environment, stacks, lambda line: shown.note(f"engine: {line}"))
    return Flow(opened, context.chosen(opened.environment, tuple(clouds)), shown, action)


def _answer(report: "Report", as_json: bool) -> None:
    """Print what was done and end with the exit code that says so."""
    from trihull_infra.deploy import answer

    click.echo(answer.as_json(report) if as_json else answer.as_text(report), nl=False)
    if report.stopped is not None:
        click.echo("trihull: stopped; run the same command again to complete", err=True)
        raise click.exceptions.Exit(128 + report.stopped)
    if report.failed:
        raise answer.failure(report)


@click.command()
@_shared
@_yes
@click.option("--no-publish", is_flag=True, help="The images are in the sites' registries already.")
def up(environment: str, clouds: Sequence[str], stacks: Path, as_json: bool, yes: bool, no_publish: bool) -> None:
    """Deploy ENVIRONMENT: sites, images, serving, fleet, routing, every cloud side by side.

    What is served stands in ENVIRONMENT.releases.json (see `trihull release`). A cloud that fails is reported and the
    others go on; running the command again completes it.
    """
    _answer(_flow(environment, clouds, stacks, "up", yes=yes).up(publish=not no_publish), as_json)


@click.command()
@_shared
@click.option("--expect-no-changes", is_flag=True, help="Exit with 3 when anything would change.")
def preview(environment: str, clouds: Sequence[str], stacks: Path, as_json: bool, expect_no_changes: bool) -> None:
    """Show what `trihull up` would change; changes nothing."""
    report = _flow(environment, clouds, stacks, "preview").preview()
    _answer(report, as_json)
    if expect_no_changes and report.changed:
        click.echo(f"trihull: {report.changed} resources would change, and none was expected to", err=True)
        raise click.exceptions.Exit(_NO_CHANGES_CODE)


@click.command()
@_shared
@_yes
@click.option("--clear-pending", is_flag=True, help="Forget resources that were being made when a run was killed.")
def refresh(
    environment: str, clouds: Sequence[str], stacks: Path, as_json: bool, yes: bool, clear_pending: bool
) -> None:
    """Read the clouds and write what they say into the stacks' state."""
    _answer(_flow(environment, clouds, stacks, "refresh", yes=yes).refresh(clear_pending), as_json)


@click.command()
@_shared
@_yes
@click.option("--remove", is_flag=True, help="Also remove the stacks themselves, with their history.")
def destroy(environment: str, clouds: Sequence[str], stacks: Path, as_json: bool, yes: bool, remove: bool) -> None:
    """Take ENVIRONMENT down: routing, serving, sites."""
    _answer(_flow(environment, clouds, stacks, "destroy", yes=yes).destroy(remove), as_json)


@click.command()
@_shared
def fleet(environment: str, clouds: Sequence[str], stacks: Path, as_json: bool) -> None:
    """Write ENVIRONMENT.fleet.json anew from what the stacks gave, and show it."""
    _answer(_flow(environment, clouds, stacks, "fleet").fleet(), as_json)


@click.command()
@click.argument("environment")
@click.argument("release_dirs", nargs=-1, type=click.Path(path_type=Path, file_okay=False), metavar="[RELEASE_DIR]...")
@click.option(
    "--router", type=click.Path(path_type=Path, file_okay=False), help="Output of `trihull package --router`."
)
@click.option("--stacks", type=click.Path(path_type=Path, file_okay=False), default=Path("stacks"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Answer with the document on standard output.")
def release(environment: str, release_dirs: tuple[Path, ...], router: Path | None, stacks: Path, as_json: bool) -> None:
    """Say what every site of ENVIRONMENT shall serve: outputs of `trihull package`.

    Writes ENVIRONMENT.releases.json; `trihull up` deploys it. A release whose evaluation failed is refused.
    """
    from trihull_infra import environment as environments
    from trihull_infra.deploy import releasing
    from trihull_infra.deploy.context import Documents
    from trihull_runtime.errors import UsageError

    if not release_dirs and router is None:
        raise UsageError("say what to release: RELEASE_DIR, --router DIR, or both")
    folder = stacks.absolute() / "environments"
    if not folder.is_dir():
        raise UsageError(f"{stacks} holds no environments/; run in the project's top folder or give --stacks DIR")
    documents = Documents(folder, environment)
    written = releasing.release(environments.load(environment, folder), documents, release_dirs, router)
    if as_json:
        click.echo(written.to_json(), nl=False)
        return
    for model, sites in sorted(written.models.items()):
        for site, chosen in sites.items():
            click.echo(f"{site:<6} serves {model} {chosen.release_digest[:19]}")
    click.echo(f"written to {documents.releases}; deploy it with `trihull up {environment}`")


commands: Final[tuple[click.Command, ...]] = (up, preview, refresh, destroy, fleet, release)
