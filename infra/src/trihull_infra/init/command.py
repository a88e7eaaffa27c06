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
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Copy trihull's wheels from this folder into the project, which installs them. Without it the project "
    "installs trihull from where this trihull came from: wheel files, git, or a package index.",
)
def command(directory: Path, cloud: str, wheels: Path | None) -> None:
    """Write a project into DIRECTORY, which is not there or is empty: stacks, environments, the sample model.

    It needs the installed packages alone. Nothing is reached and nothing is made on any cloud.
    """
    from trihull_infra.init import requirements, writing

    needed = requirements.of_installation(wheels)
    files = writing.write(directory, Cloud(cloud), needed)
    click.echo(f"{len(files)} files in {directory}; README.md says what to do next:")
    click.echo(f"  {needed.note}")
    click.echo(f"  cd {directory} && trihull doctor local")
    click.echo("  fill in every <...> of stacks/environments/dev.yaml, then: trihull doctor dev")
