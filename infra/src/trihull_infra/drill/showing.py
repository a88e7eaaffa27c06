"""A drill on the terminal: progress while it runs, the table when it is done."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from trihull_infra.drill.report import Report, dns_words, facts, milliseconds, summary
from trihull_infra.drill.samples import Outcome, Sample


@dataclass
class _Tally:
    answered: int = 0
    bad: int = 0
    phase: str = ""

    def count(self, sample: Sample) -> None:
        self.answered += 1
        self.bad += sample.outcome is not Outcome.RIGHT


@contextlib.contextmanager
def progress(
    console: Console, total_s: float, title: str, silent: bool
) -> Iterator[Callable[[float, str, Sample], None]]:
    """Show the drill as it goes: a live bar on a terminal, a line per phase elsewhere, nothing when silent.

    Yields what to call with every sample: seconds since the start, the phase's name, the sample.
    """
    tally = _Tally()

    def line(now_s: float, phase: str, sample: Sample) -> None:
        tally.count(sample)
        if phase != tally.phase and not silent:
            tally.phase = phase
            console.print(f"{now_s:5.1f} s  {title}: {phase}; {tally.answered} requests, {tally.bad} bad")

    if silent or not console.is_terminal:
        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(title, total=total_s, said="")

        def draw(now_s: float, phase: str, sample: Sample) -> None:
            tally.count(sample)
            said = f"{phase}: {tally.answered} requests, {tally.bad} bad, answered by {sample.site or 'nobody'}"
            bar.update(task, completed=min(now_s, total_s), said=said)

        yield draw


def show(console: Console, report: Report, html: Path) -> None:
    """Print the report: a row per phase, then the summary and where the picture is."""
    table = Table(title=f"Drill on {report.environment}: {report.lost_part}, {report.kind.value}", title_justify="left")
    for head in ("phase", "requests", "lost", "wrong", "p50", "p99", "worst"):
        table.add_column(head, justify="left" if head == "phase" else "right", no_wrap=True)
    table.add_column("answered by", overflow="fold")
    if report.router is not None:
        table.add_column("entered by", overflow="fold")
    for name, phase in report.phases():
        figures = (milliseconds(phase.p50_s), milliseconds(phase.p99_s), milliseconds(phase.worst_s))
        groups = [phase.sites] if report.router is None else [phase.sites, report.router.entered[name]]
        by = [", ".join(f"{site} {count}" for site, count in group.items()) or "none" for group in groups]
        table.add_row(name, str(phase.requests), str(phase.lost), str(phase.wrong), *figures, *by)
    console.print(table)
    for name, value in summary(report):
        console.print(f"{name:<22} {value}")
    for name, value in facts(report):
        console.print(f"{name:<22} {value}", soft_wrap=True)
    if report.dns is not None:
        console.print(dns_words(report.dns))
    console.print(f"{'report':<22} {html}", soft_wrap=True)
