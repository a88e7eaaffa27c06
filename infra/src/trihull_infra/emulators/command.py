"""`trihull emulators`: start, stop and look at the emulated clouds."""

import click


@click.group(name="emulators")
def command() -> None:
    """Emulated clouds on this machine: the same Pulumi programs, no account."""


@command.command()
def start() -> None:
    """Start the emulators, unless they run, and wait until they are ready."""
    from trihull_infra.emulators import client

    daemon = client.start()
    click.echo(f"emulators ready: pid {daemon.pid}, epoch {daemon.epoch}")


@command.command()
def stop() -> None:
    """Stop the emulators and everything they started; what they remember stays."""
    from trihull_infra.emulators import client

    click.echo("emulators stopped" if client.stop() else "emulators were not running")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def status(as_json: bool) -> None:
    """Show what runs and what is emulated for real; exit code 69 when nothing runs."""
    import json

    from trihull_infra.emulators import client, showing

    found = client.connect().status()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        showing.status(found)


@command.command()
@click.option("--aws", is_flag=True, help="Also export AWS_ENDPOINT_URL and the emulated account's dummy credentials.")
def env(aws: bool) -> None:
    """Print what a shell must have so that plain `pulumi` sees the emulated clouds: eval "$(trihull emulators env)"."""
    import shlex

    from trihull_infra import engine
    from trihull_infra.emulators import client

    daemon = client.connect()
    found = engine.find()
    variables = client.environment(found.folder if found else None)
    if aws:
        variables |= client.aws_environment(daemon)
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")
