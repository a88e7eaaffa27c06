"""packaging's subcommands: each in a module that is imported only when it is run."""

import click


def register(group: click.Group) -> None:
    """Add `package`, `inspect` and `verify` to the command line."""
    from trihull_packaging.command import command as package
    from trihull_packaging.inspecting.command import command as inspect
    from trihull_packaging.verifying.command import command as verify

    for command in (package, inspect, verify):
        group.add_command(command)
