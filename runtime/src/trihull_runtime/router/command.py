"""`trihull route`: a failover router on this machine."""

from pathlib import Path

import click


@click.command("route")
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="TRIHULL_FLEET", required=True, help="The fleet document."
)
@click.option("--site-name", envvar="TRIHULL_SITE", help="This router's own site, which local-first prefers.")
@click.option(
    "--policy", type=click.Choice(["local-first", "priority"]), envvar="TRIHULL_POLICY", default="local-first",
    show_default=True, help="How sites are ordered.",
)  # fmt: skip
@click.option("--host", envvar="TRIHULL_HOST", default="127.0.0.1", show_default=True, help="Where clients come in.")
@click.option(
    "--port", type=click.IntRange(1, 65535), envvar="TRIHULL_PORT_INGRESS", default=8080, show_default=True,
    help="Port for clients; /routerz is its health.",
)  # fmt: skip
@click.option("--admin-host", envvar="TRIHULL_ADMIN_HOST", default="127.0.0.1", show_default=True)
@click.option(
    "--admin-port", type=click.IntRange(0, 65535), envvar="TRIHULL_PORT_ADMIN", default=8083, show_default=True,
    help="Port of the admin API; 0 takes a free one.",
)  # fmt: skip
@click.option(
    "--state", type=click.Path(path_type=Path), envvar="TRIHULL_STATE", default=Path(".trihull-router"),
    show_default=True, help="Folder for Envoy's files, the last good fleet and logs.",
)  # fmt: skip
@click.option("--tls", type=click.Path(path_type=Path), envvar="TRIHULL_TLS", help="Folder with tls.crt and tls.key.")
@click.option(
    "--timings", type=click.Choice(["wan", "lab"]), envvar="TRIHULL_TIMINGS", default="wan", show_default=True,
    help="wan: across clouds; lab: all on one machine.",
)  # fmt: skip
@click.option(
    "--access-log", type=click.Choice(["none", "trouble", "all"]), envvar="TRIHULL_ACCESS_LOG", default="trouble",
    show_default=True, help="Requests to log: those that failed or were tried again, or all.",
)  # fmt: skip
def command(
    fleet: Path, site_name: str | None, policy: str, host: str, port: int, admin_host: str, admin_port: int,
    state: Path, tls: Path | None, timings: str, access_log: str,
) -> None:  # fmt: skip
    """Route requests to the healthy sites of a fleet.

    Runs until interrupted. Traffic is carried by Envoy, which goes on when this command is killed; starting it again
    with the same --state takes the running Envoy over.
    """
    from trihull_runtime.router.envoy import AccessLog
    from trihull_runtime.router.plan import Policy
    from trihull_runtime.router.run import run
    from trihull_runtime.router.settings import Settings
    from trihull_runtime.router.timings import load

    run(
        Settings(
            fleet=fleet.absolute(),
            state=state.absolute(),
            site=site_name,
            policy=Policy(policy),
            host=host,
            port=port,
            admin_host=admin_host,
            admin_port=admin_port,
            tls=None if tls is None else tls.absolute(),
            timings=load(timings),
            access_log=AccessLog(access_log),
            own_group=True,
        )
    )
