"""`trihull init DIR`: a project to start from."""

from pathlib import Path

import click

from trihull_infra.cloud import Cloud


@click.command(name="init")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--cloud",
    type=click.Choice([cloud.value for cloud in Cloud]),
    default=Cloud.AWS.value,
    show_default=True,
    help="The cloud of the environment dev.",
)
def command(directory: Path, cloud: str) -> None:
    """Write a project into DIRECTORY, which is not there or is empty: stacks, environments, the sample model.

    It needs the installed packages alone. Nothing is reached and nothing is made on any cloud.
    """
    from trihull_infra.init import writing

    files = writing.write(directory, Cloud(cloud))
    click.echo(f"{len(files)} files in {directory}; README.md says what to do next:")
    click.echo(f"  cd {directory} && trihull doctor local")
    click.echo("  fill in every <...> of stacks/environments/dev.yaml, then: trihull doctor dev")
