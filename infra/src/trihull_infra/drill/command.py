"""`trihull drill ENV` on the command line: find the way in, run the drill, write and show its report."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trihull_runtime.predict.split import Split

LEASE_MARGIN_S = 30.0
SITE_TIMEOUT_S, ROUTER_TIMEOUT_S = 10.0, 1.0  # of one request; a client that knows another router waits less


@click.command("drill")
@click.argument("environment")
@click.option("--site", default="aws", show_default=True, help="The site to break.")
@click.option(
    "--loss", type=click.Choice(["site", "router"]), default="site", show_default=True,
    help="What of it fails: all of it, or its router alone.",
)  # fmt: skip
@click.option("--kind", type=click.Choice(["kill", "freeze"]), default="kill", show_default=True, help="How it fails.")
@click.option("--entry", help="A router's address. Default: a deployed router of another site. Not with --loss router.")
@click.option(
    "--stacks", type=click.Path(path_type=Path), default=Path("stacks"), show_default=True,
    help="Folder with environments/.",
)  # fmt: skip
@click.option("--model", default="digits", show_default=True, help="The model to ask.")
@click.option(
    "--rows", "rows_file", type=click.Path(path_type=Path),
    help="test_split.json of its release. Default: build/releases/MODEL/test_split.json.",
)  # fmt: skip
@click.option("--rate", type=click.FloatRange(1, 5000), default=100, show_default=True, help="Requests per second.")
@click.option(
    "--before", "before_s", type=click.FloatRange(1, 3600), default=5, show_default=True, help="Calm seconds."
)
@click.option(
    "--outage", "outage_s", type=click.FloatRange(1, 3600), default=10, show_default=True, help="Broken seconds."
)
@click.option(
    "--after", "after_s", type=click.FloatRange(1, 3600), default=15, show_default=True, help="Healed seconds."
)
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 600), show_default="10; 1 with --loss router",
    help="Seconds after which a request counts as lost, and its callers go to the next router if they know any.",
)  # fmt: skip
@click.option(
    "--report-dir", type=click.Path(path_type=Path), default=Path("build/drill"), show_default=True,
    help="Gets report.json and report.html.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    environment: str,
    site: str,
    loss: str,
    kind: str,
    entry: str | None,
    stacks: Path,
    model: str,
    rows_file: Path | None,
    rate: float,
    before_s: float,
    outage_s: float,
    after_s: float,
    timeout_s: float | None,
    report_dir: Path,
    as_json: bool,
) -> None:
    """Break one site of ENVIRONMENT, or its router, under steady load and measure what callers saw.

    Exit 3 when a request was lost, an answer was wrong, or traffic did not move and come back. With --loss router the
    requests that the router takes with it are counted apart and allowed; any other lost request is not.
    """
    import datetime

    from rich.console import Console

    from trihull_infra import environment as environments
    from trihull_infra import naming
    from trihull_infra.drill.callers import Entry
    from trihull_infra.drill.faults import EmulatedFaults, FaultKind, check_sites
    from trihull_infra.drill.picture import page
    from trihull_infra.drill.plan import Plan
    from trihull_infra.drill.rehearsal import HEALTH_PATH, rehearse
    from trihull_infra.drill.report import Setting, make_report
    from trihull_infra.drill.router_loss import RouterLoss, dns_failover
    from trihull_infra.drill.samples import Loss
    from trihull_infra.drill.showing import progress, show
    from trihull_infra.drill.ways import deployed_policy, find_entries, find_entry, fleet_sites
    from trihull_infra.drill.wire import Address
    from trihull_infra.emulators import client
    from trihull_infra.errors import DrillError
    from trihull_runtime.contract.codec import write_file
    from trihull_runtime.errors import UsageError

    lost_router, workload, health_path, limit_s = None, None, HEALTH_PATH, SITE_TIMEOUT_S
    sites = fleet_sites(stacks, environment, site)
    if Loss(loss) is Loss.SITE:
        url = entry or find_entry(stacks, environment, site)
        entries: tuple[Entry, ...] = (Entry(url, Address.parse(url)),)
    else:
        if entry is not None:
            raise UsageError(f"--entry has no place in the loss of a router: callers enter by the router of {site}")
        entries = find_entries(stacks, environment, site)
        dns = environments.load(environment, stacks / "environments").dns
        lost_router, workload, limit_s = RouterLoss(entries, dns_failover(dns)), naming.ROUTER, ROUTER_TIMEOUT_S
        health_path = HEALTH_PATH if dns is None else dns.health_path
    setting = Setting(emulated=True, policy=deployed_policy(stacks, environment))  # only emulated sites can be broken
    plan = Plan(rate, before_s, outage_s, after_s, limit_s if timeout_s is None else timeout_s)
    split = _read_rows(rows_file or Path("build/releases") / model / "test_split.json", model)
    daemon = client.connect()
    check_sites(daemon.sites(), sites)
    faults = EmulatedFaults(daemon, outage_s + LEASE_MARGIN_S, workload)

    what = site if lost_router is None else f"the router of {site}"
    console = Console(stderr=True, highlight=False)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with progress(console, plan.total_s, f"{what}: {kind}", silent=as_json) as on_sample:
        recording = rehearse(plan, entries, split, faults, site, FaultKind(kind), on_sample, health_path)
    url = entries[0].address.url
    report = make_report(recording, plan, environment, model, site, FaultKind(kind), url, started, lost_router, setting)
    write_file(report_dir / "report.json", report.to_json().encode())
    write_file(report_dir / "report.html", page(report).encode())
    if as_json:
        click.echo(report.to_json(), nl=False)
    else:
        show(Console(highlight=False), report, report_dir / "report.html")
    if not report.passed:
        raise DrillError(f"the drill on {what} failed: {'; '.join(report.failures)}")


def _read_rows(path: Path, model: str) -> "Split":
    from trihull_runtime.errors import InputError
    from trihull_runtime.predict.split import read_split

    split = read_split(path)
    if split.labels is None:
        raise InputError(f"{path}: a drill needs the bare model's answers: a test_split.json, not a plain list of rows")
    if split.model != model:
        raise InputError(f"{path}: is of model {split.model!r}, and the drill is on {model!r}")
    return split
