"""The command `trihull publish`."""

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from trihull_runtime.errors import TrihullError

GROUP: Final = "trihull.registries"  # who knows an environment's registries: (environment, stacks) -> site -> reference


@click.command("publish")
@click.argument("releases", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RELEASE...")
@click.option(
    "--to",
    "targets",
    multiple=True,
    required=True,
    metavar="TARGET",
    help="An environment (all its sites), HOST/REPOSITORY[:TAG] or oci-layout://PATH[:TAG]; may be repeated.",
)
@click.option("--stacks", type=click.Path(path_type=Path, file_okay=False), default=Path("stacks"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document on standard output.")
def command(releases: tuple[Path, ...], targets: tuple[str, ...], stacks: Path, as_json: bool) -> None:
    """Copy the image of each RELEASE, with its evidence, into registries: only what is missing there.

    RELEASE is what `trihull package` wrote. Every target is served side by side; one that fails is told, the others go
    on, and running the command again completes it.
    """
    import json

    from trihull_runtime.artifacts.publishing import run
    from trihull_runtime.errors import UnavailableError

    sources = [run.source(path) for path in releases]
    wanted: dict[str, str | TrihullError] = {}
    for target in targets:
        wanted |= {target: target} if "/" in target else registries(target, stacks)
    outcomes = run.to_all(sources, wanted, lambda line: click.echo(line, err=True))
    if as_json:
        images = {source.what: source.digest for source in sources}
        value = {"version": 1, "images": images, "targets": [outcome.to_value() for outcome in outcomes]}
        click.echo(json.dumps(value, indent=2))
    else:
        for outcome in outcomes:
            done = f"{outcome.copied.sent} blobs sent ({outcome.copied.sent_bytes / 1e6:.1f} MB)"
            state = f"FAILED: {outcome.problem}" if outcome.problem else f"{outcome.copied.present} were there"
            click.echo(f"{outcome.target}: {done}, {state}, {outcome.seconds:.1f} s")
    failed = [outcome.target for outcome in outcomes if outcome.problem]
    if failed:
        raise UnavailableError(f"not published to {', '.join(failed)}; run the same command again to complete")


def registries(environment: str, stacks: Path) -> "dict[str, str | TrihullError]":
    """Return site -> its registry's reference, or why it is not known, as whoever knows environments says it.

    Raises:
        UsageError: nobody here knows environments.
        TrihullError: as they raise it.
    """
    from trihull_runtime.errors import UsageError

    known = list(importlib.metadata.entry_points(group=GROUP))
    if not known:
        raise UsageError(
            f"{environment!r} is no registry (HOST/REPOSITORY), and environments need trihull-infra: install it"
        )
    return dict(known[0].load()(environment, stacks))
