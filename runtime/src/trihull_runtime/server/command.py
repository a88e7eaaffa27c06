"""`trihull serve`: the model server on the command line, with the container's own variables."""

import os
from pathlib import Path

import click


@click.command("serve")
@click.argument("models", type=click.Path(path_type=Path), envvar="TRIHULL_MODELS")
@click.option("--host", envvar="TRIHULL_HOST", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", "port_infer", envvar="TRIHULL_PORT_INFER", default="8080", show_default=True, help="V2 REST.")
@click.option(
    "--health-port", "port_health", envvar="TRIHULL_PORT_HEALTH", default="8082", show_default=True,
    help="Health and metrics, plain HTTP.",
)  # fmt: skip
@click.option(
    "--tls", envvar="TRIHULL_TLS", type=click.Path(path_type=Path),
    help="Folder with tls.crt, tls.key and ca.crt (client CAs): mutual TLS.",
)  # fmt: skip
@click.option(
    "--drain", "drain_s", envvar="TRIHULL_DRAIN_S", default="30", show_default=True, help="Seconds a stop may take."
)
def command(models: Path, host: str, port_infer: str, port_health: str, tls: Path | None, drain_s: str) -> None:
    """Serve the models in a folder (MODELS: one model folder, or a folder of them) over Open Inference Protocol V2."""
    from trihull_runtime.server.process import run
    from trihull_runtime.server.settings import Settings

    environment = {
        **os.environ,
        "TRIHULL_MODELS": str(models),
        "TRIHULL_HOST": host,
        "TRIHULL_PORT_INFER": port_infer,
        "TRIHULL_PORT_HEALTH": port_health,
        "TRIHULL_TLS": str(tls) if tls is not None else "",
        "TRIHULL_DRAIN_S": drain_s,
    }
    code = run(Settings.from_environment(environment))
    click.get_current_context().exit(code)
