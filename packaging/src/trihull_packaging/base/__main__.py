"""A base as an image of its own: `python -m trihull_packaging.base FOLDER`, with root or without.

It makes an OCI layout from the newest packages of the machine's distribution, for both architectures, and prints the
reference that `base` in model.yaml takes. Push it to a registry and it is there for as long as the registry keeps it,
whatever the distribution's archive forgets.
"""

import sys
from pathlib import Path
from typing import get_args

import click

from trihull_packaging import bases, output
from trihull_packaging.progress import Progress
from trihull_packaging.spec import Platform
from trihull_packaging.steps import index
from trihull_runtime.contract.codec import write_file
from trihull_runtime.errors import TrihullError

MARKER = "base.json"


def write(folder: Path, platforms: tuple[str, ...], progress: Progress) -> str:
    """Write a layout to `folder`, replaced as a whole, and return the reference of the image in it.

    Raises:
        ToolError: the archive cannot be reached.
        InputError: `folder` is something else.
    """
    with output.replacing(folder) as partial:
        with progress.step("base", "packages of the distribution") as note:
            made = bases.newest(None, platforms, Path())
            note.text = f"{len(next(iter(made.values())).packages)} packages"
        with progress.step("index", "OCI image layout") as note:
            labels = {"org.opencontainers.image.title": "base"}
            layers = {platform: base.layers for platform, base in made.items()}
            indexed = index.run(partial, layers, None, (), labels)
            note.text = indexed.index.digest
        reference = f"oci-layout://{folder.absolute()}@{indexed.index.digest}"
        write_file(partial / MARKER, f'{{"version": 1, "index_digest": "{indexed.index.digest}"}}\n'.encode())
    return reference


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--platform", "platforms", multiple=True, type=click.Choice(get_args(Platform)), help="May be repeated.")
def main(folder: Path, platforms: tuple[str, ...]) -> None:
    """Write a base to FOLDER, an OCI image layout, and print its reference."""
    try:
        click.echo(write(folder, platforms or get_args(Platform), Progress()))
    except TrihullError as error:
        click.echo(f"base: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
