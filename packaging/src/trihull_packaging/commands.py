"""packaging's subcommands: each in a module that is imported only when it is run."""

import click


def register(group: click.Group) -> None:
    """Add `package` to the command line."""
    from trihull_packaging.command import command as package

    group.add_command(package)
