"""infra's subcommands: each in a module that is imported only when it is run."""

import click


def register(group: click.Group) -> None:
    """Add infra's subcommands to the command line."""
    from trihull_infra.answers.command import command as answers
    from trihull_infra.deploy.command import commands as deploy
    from trihull_infra.doctor.command import command as doctor
    from trihull_infra.drill.command import command as drill
    from trihull_infra.emulators.command import command as emulators
    from trihull_infra.init.command import command as init

    for command in (init, doctor, *deploy, answers, drill, emulators):
        group.add_command(command)
