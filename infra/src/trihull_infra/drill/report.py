"""The report of a drill: one value, as JSON and as lines of text."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

from trihull_infra.drill.faults import FaultKind
from trihull_infra.drill.measures import Figures, PhaseFigures, failures, measure
from trihull_infra.drill.plan import Plan
from trihull_infra.drill.rehearsal import Recording
from trihull_infra.drill.samples import OutageTimes, Sample

VERSION: Final = 1
PHASES: Final = ("before", "during", "after")


@dataclass(frozen=True)
class Report:
    """Everything that is said of one drill; `failures` is empty when it passed."""

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

    @property
    def passed(self) -> bool:
        """Whether nothing was lost or wrong and traffic moved and came back."""
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
            "site": self.site,
            "kind": self.kind.value,
            "entry": self.entry,
            "started": self.started,
            **_rounded(dataclasses.asdict(self.figures)),
            "plan": dataclasses.asdict(self.plan),
            "outage": _rounded(dataclasses.asdict(self.outage)),
            "load_late_s": round(self.late_s, 6),
        }
        return value

    def to_json(self) -> str:
        """Return the report as indented JSON."""
        return json.dumps(self.to_value(), indent=2, ensure_ascii=False) + "\n"


def make_report(
    recording: Recording, plan: Plan, environment: str, model: str, site: str, kind: FaultKind, entry: str, started: str
) -> Report:
    """Measure a recording; `started` is the drill's time of day as ISO 8601."""
    figures = measure(recording.samples, site, recording.outage)
    problems = failures(recording.samples, figures, site, recording.outage)
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
    figures = report.figures
    return [
        ("requests", f"{figures.requests:,}"),
        ("lost", f"{figures.lost:,}"),
        ("wrong", f"{figures.wrong:,}"),
        ("worst wait", milliseconds(figures.worst_s)),
        ("retried by the router", f"{figures.retried:,}"),
        ("traffic moved after", span(figures.moved_after_s)),
        ("came back after", span(figures.came_back_after_s)),
    ]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
