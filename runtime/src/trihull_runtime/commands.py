"""The runtime's subcommands: each in a module that is imported only when it is run."""

import click


def register(group: click.Group) -> None:
    """Add `serve`, `predict`, `route` and `publish` to the command line."""
    from trihull_runtime.artifacts.publishing.command import command as publish
    from trihull_runtime.predict import command as predict
    from trihull_runtime.router.command import command as route
    from trihull_runtime.server.command import command as serve

    for command in (serve, predict, route, publish):
        group.add_command(command)
