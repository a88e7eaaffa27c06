"""packaging's subcommands: each in a module that is imported only when it is run."""

import click


def register(group: click.Group) -> None:
    """Add `package` and `inspect` to the command line."""
    from trihull_packaging.command import command as package
    from trihull_packaging.inspecting.command import command as inspect

    group.add_command(package)
    group.add_command(inspect)
