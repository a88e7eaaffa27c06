"""`trihull route`: a failover router on this machine."""

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command("route")
@click.option("--fleet", type=_PATH, envvar="TRIHULL_FLEET", help="The fleet document.")
@click.option(
    "--site", "sites", multiple=True, metavar="NAME=URL",
    help="In place of a fleet: a server of the Open Inference Protocol, first choice first. May be repeated.",
)  # fmt: skip
@click.option(
    "--ca", type=_PATH, help="With --site: CA certificates that https sites must come from (PEM); else the system's."
)
@click.option("--site-name", envvar="TRIHULL_SITE", help="This router's own site, which local-first prefers.")
@click.option(
    "--policy", type=click.Choice(["local-first", "priority", "weighted", "fastest"]), envvar="TRIHULL_POLICY",
    default="local-first", show_default=True, help="How sites are ordered where the fleet does not say.",
)  # fmt: skip
@click.option("--host", envvar="TRIHULL_HOST", default="127.0.0.1", show_default=True, help="Where clients come in.")
@click.option(
    "--port", type=click.IntRange(1, 65535), envvar="TRIHULL_PORT_INGRESS", default=8080, show_default=True,
    help="Port for clients; /routerz is its health.",
)  # fmt: skip
@click.option(
    "--ingress-tls", type=_PATH, envvar="TRIHULL_INGRESS_TLS",
    help="Folder with tls.crt and tls.key: what clients are shown.",
)  # fmt: skip
@click.option(
    "--clients",
    type=_PATH,
    envvar="TRIHULL_CLIENTS",
    help="Who may send requests: keys, tokens, limits (clients.json).",
)
@click.option("--admin-host", envvar="TRIHULL_ADMIN_HOST", default="127.0.0.1", show_default=True)
@click.option(
    "--admin-port", type=click.IntRange(0, 65535), envvar="TRIHULL_PORT_ADMIN", default=8083, show_default=True,
    help="Port of the admin API and page; 0 takes a free one.",
)  # fmt: skip
@click.option(
    "--admin-token", type=_PATH, envvar="TRIHULL_ADMIN_TOKEN",
    help="File with the token that the admin API asks for; needed on any other address than loopback.",
)  # fmt: skip
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), envvar="TRIHULL_PORT_METRICS",
    help="Serve /metrics and /healthz, and nothing else, on --host too.",
)  # fmt: skip
@click.option(
    "--state", type=_PATH, envvar="TRIHULL_STATE", default=Path(".trihull-router"),
    show_default=True, help="Folder for Envoy's files, the last good fleet and logs.",
)  # fmt: skip
@click.option("--tls", type=_PATH, envvar="TRIHULL_TLS", help="Folder with tls.crt and tls.key: what sites are shown.")
@click.option(
    "--timings", type=click.Choice(["wan", "lab"]), envvar="TRIHULL_TIMINGS", default="wan", show_default=True,
    help="wan: across clouds; lab: all on one machine.",
)  # fmt: skip
@click.option(
    "--access-log", type=click.Choice(["none", "trouble", "all"]), envvar="TRIHULL_ACCESS_LOG", default="trouble",
    show_default=True, help="Requests to log: those that failed or were tried again, or all.",
)  # fmt: skip
def command(
    fleet: Path | None, sites: tuple[str, ...], ca: Path | None, site_name: str | None, policy: str, host: str,
    port: int, ingress_tls: Path | None, clients: Path | None, admin_host: str, admin_port: int,
    admin_token: Path | None, metrics_port: int | None, state: Path, tls: Path | None, timings: str, access_log: str,
) -> None:  # fmt: skip
    """Route requests to the healthy sites of a fleet, or to any servers named by --site.

    Runs until interrupted. Traffic is carried by Envoy, which goes on when this command is killed; starting it again
    with the same --state takes the running Envoy over.
    """
    from trihull_runtime.contract import Policy
    from trihull_runtime.errors import UsageError
    from trihull_runtime.router.alone import write_fleet
    from trihull_runtime.router.envoy import AccessLog
    from trihull_runtime.router.run import run
    from trihull_runtime.router.settings import Settings
    from trihull_runtime.router.timings import load

    if (fleet is None) == (not sites):
        raise UsageError("say what to route to: either --fleet FILE, or --site NAME=URL for each server")
    if ca is not None and fleet is not None:
        raise UsageError("--ca goes with --site; in a fleet document each site names its own CA certificate")
    state = state.absolute()
    document = fleet.absolute() if fleet is not None else write_fleet(sites, ca, state)
    run(
        Settings(
            fleet=document,
            state=state,
            site=site_name,
            policy=Policy(policy),
            host=host,
            port=port,
            ingress_tls=None if ingress_tls is None else ingress_tls.absolute(),
            clients=None if clients is None else clients.absolute(),
            admin_host=admin_host,
            admin_port=admin_port,
            admin_token=None if admin_token is None else admin_token.absolute(),
            metrics_port=metrics_port,
            tls=None if tls is None else tls.absolute(),
            timings=load(timings),
            access_log=AccessLog(access_log),
            own_group=True,
        )
    )
