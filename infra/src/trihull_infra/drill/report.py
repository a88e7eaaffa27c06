"""The report of a drill: one value, as JSON and as lines of text."""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from trihull_infra.drill.faults import FaultKind
from trihull_infra.drill.measures import Figures, PhaseFigures, failures, measure
from trihull_infra.drill.plan import Plan
from trihull_infra.drill.rehearsal import Recording
from trihull_infra.drill.router_loss import DnsFailover, RouterFigures, RouterLoss, measure_router, router_failures
from trihull_infra.drill.samples import Loss, OutageTimes, Outcome, Sample

VERSION: Final = 1
PHASES: Final = ("before", "during", "after")


@dataclass(frozen=True)
class Setting:
    """What the drill was run on: whether the clouds were emulated, and the policy of the routers as deployed."""

    emulated: bool
    policy: str


@dataclass(frozen=True)
class Report:
    """Everything that is said of one drill; `failures` is empty when it passed.

    `router` and `dns` are for the loss of a router only; `entry` is then the address of the lost one, and `routers` are
    the names of all in the order in which callers use them. `setting` is None where it is not known.
    """

    environment: str
    model: str
    site: str
    kind: FaultKind
    entry: str
    started: str
    plan: Plan
    outage: OutageTimes
    figures: Figures
    failures: tuple[str, ...]
    late_s: float
    samples: tuple[Sample, ...]
    loss: Loss = Loss.SITE
    routers: tuple[str, ...] = ()
    router: RouterFigures | None = None
    dns: DnsFailover | None = None
    setting: Setting | None = None

    @property
    def releases(self) -> dict[str, dict[str, int]]:
        """Return release digest -> site -> how many answers named it; most answers first."""
        counts: dict[str, Counter[str]] = {}
        for sample in self.samples:
            if sample.release is not None:
                counts.setdefault(sample.release, Counter())[sample.site or "unnamed"] += 1
        ordered = sorted(counts.items(), key=lambda entry: (-entry[1].total(), entry[0]))
        return {digest: dict(by_site.most_common()) for digest, by_site in ordered}

    @property
    def lost_part(self) -> str:
        """Return what was lost, in words: `aws`, or `the router of aws`."""
        return self.site if self.loss is Loss.SITE else f"the router of {self.site}"

    def answered_by(self, sample: Sample) -> str | None:
        """Return whom a sample is put down to: the site that answered, or the router, when one of those was lost."""
        if self.loss is Loss.SITE:
            return sample.site
        return None if sample.outcome is Outcome.LOST else sample.router

    @property
    def passed(self) -> bool:
        """Whether nothing was lost that need not be, nothing was wrong, and traffic moved and came back."""
        return not self.failures

    def phases(self) -> list[tuple[str, PhaseFigures]]:
        """Return the three phases by name."""
        return [(name, getattr(self.figures, name)) for name in PHASES]

    def to_value(self) -> dict[str, Any]:
        """Return plain values for JSON: seconds everywhere, the samples left out."""
        value: dict[str, Any] = {
            "version": VERSION,
            "passed": self.passed,
            "failures": list(self.failures),
            "environment": self.environment,
            "model": self.model,
            "loss": self.loss.value,
            "site": self.site,
            "kind": self.kind.value,
            "entry": self.entry,
            "started": self.started,
            "emulated": None if self.setting is None else self.setting.emulated,
            "policy": None if self.setting is None else self.setting.policy,
            "releases": self.releases,
            **_rounded(dataclasses.asdict(self.figures)),
            "plan": dataclasses.asdict(self.plan),
            "outage": _rounded(dataclasses.asdict(self.outage)),
            "load_late_s": round(self.late_s, 6),
        }
        if self.router is not None:
            value |= {
                "routers": list(self.routers),
                "router": dataclasses.asdict(self.router),
                "dns": None if self.dns is None else dataclasses.asdict(self.dns),
            }
        return value

    def to_json(self) -> str:
        """Return the report as indented JSON."""
        return json.dumps(self.to_value(), indent=2, ensure_ascii=False) + "\n"


def make_report(
    recording: Recording,
    plan: Plan,
    environment: str,
    model: str,
    site: str,
    kind: FaultKind,
    entry: str,
    started: str,
    lost_router: RouterLoss | None = None,
    setting: Setting | None = None,
) -> Report:
    """Measure a recording; `started` is the time of day as ISO 8601, `lost_router` None when a site was lost."""
    samples, outage, router = recording.samples, recording.outage, None
    figures = measure(samples, site, outage)
    if lost_router is None:
        problems = failures(samples, figures, site, outage)
    else:
        router, moved, back = measure_router(samples, recording.moves, site, outage)
        figures = dataclasses.replace(figures, moved_after_s=moved, came_back_after_s=back)
        problems = router_failures(samples, recording.moves, figures, router, site, outage)
    ordered = tuple(sorted(recording.samples, key=lambda sample: sample.scheduled_s))
    return Report(
        environment=environment,
        model=model,
        site=site,
        kind=kind,
        entry=entry,
        started=started,
        plan=plan,
        outage=recording.outage,
        figures=figures,
        failures=tuple(problems),
        late_s=recording.late_s,
        samples=ordered,
        loss=Loss.SITE if lost_router is None else Loss.ROUTER,
        routers=() if lost_router is None else tuple(each.router for each in lost_router.entries),
        router=router,
        dns=None if lost_router is None else lost_router.dns,
        setting=setting,
    )


def milliseconds(seconds: float | None) -> str:
    """Return a latency for people: `4.1 ms`, `1,204 ms`, or `none`."""
    if seconds is None:
        return "none"
    value = seconds * 1000
    return f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


def span(seconds: float | None) -> str:
    """Return a duration for people: `0.42 s`, or `never`."""
    return "never" if seconds is None else f"{seconds:.2f} s"


def summary(report: Report) -> list[tuple[str, str]]:
    """Return the lines of the summary as (what, figure)."""
    figures, router = report.figures, report.router
    lost, who = [("lost", f"{figures.lost:,}")], "traffic"
    if router is not None:
        lost += [
            ("… in flight in it", f"{router.lost_in_flight:,}"),
            ("… until callers moved", f"{router.lost_before_move:,}"),
            ("… otherwise", f"{router.lost_otherwise:,}"),
        ]
        who = "callers"
    lines = [
        ("requests", f"{figures.requests:,}"),
        *lost,
        ("wrong", f"{figures.wrong:,}"),
        ("worst wait", milliseconds(figures.worst_s)),
        ("retried by the router", f"{figures.retried:,}"),
        (f"{who} moved after", span(figures.moved_after_s)),
        ("came back after", span(figures.came_back_after_s)),
    ]
    if report.dns is not None:
        lines.append(("DNS would add", f"{report.dns.adds_s} s"))
    return lines


def facts(report: Report) -> list[tuple[str, str]]:
    """Return what the drill was run on as (what, value): clouds, policy, and the releases that answers named."""
    lines: list[tuple[str, str]] = []
    if report.setting is not None:
        clouds = "emulated on one machine; no real cloud took part" if report.setting.emulated else "real"
        lines += [("clouds", clouds), ("policy", report.setting.policy)]
    for digest, sites in report.releases.items():
        answers = ", ".join(f"{site} {count:,}" for site, count in sites.items())
        lines.append(("release served", f"{digest} ({answers})"))
    if not report.releases:
        lines.append(("release served", "no answer named one"))
    return lines


def dns_words(dns: DnsFailover) -> str:
    """Return what DNS adds as a sentence, with the arithmetic."""
    timeout = f" + {dns.timeout_s} s for the last check" if dns.timeout_s else ""
    return (
        f"Callers that hold a single address of {dns.name} wait for DNS on top: {dns.adds_s} s, computed from its "
        f"settings on {dns.cloud}, not measured ({dns.interval_s} s between checks x {dns.failures} failures{timeout} "
        f"+ {dns.ttl_s} s that resolvers remember)."
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
