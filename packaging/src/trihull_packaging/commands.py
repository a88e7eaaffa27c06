"""packaging's subcommands: each in a module that is imported only when it is run."""

import click


def register(group: click.Group) -> None:
    """Add `package` and `verify` to the command line."""
    from trihull_packaging.command import command as package
    from trihull_packaging.verifying.command import command as verify

    group.add_command(package)
    group.add_command(verify)
