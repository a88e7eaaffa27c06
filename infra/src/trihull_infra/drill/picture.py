"""The drill as one picture: an SVG drawn here, in a page that needs nothing else, light or dark as the reader's system.

Every answer is a dot: time to the right, latency upwards (logarithmic), coloured by the site that gave it; the outage
is shaded. The dot's shape repeats what its colour says, so that the picture can be read without colours.
"""

import html
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trihull_infra.drill.report import Report, dns_words, facts, milliseconds, span, summary
from trihull_infra.drill.samples import Loss, Outcome, Sample

WIDTH: Final = 1040
HEIGHT: Final = 446
LEFT: Final = 70
RIGHT: Final = 18
TOP: Final = 50
BOTTOM: Final = 44
STRIP: Final = 14  # the band below the axis: which site answered, second by second
BAR_S: Final = 0.25

# Okabe and Ito's palette (jfly.uni-koeln.de/color), told apart by any colour vision; lighter on dark.
COLOURS: Final = (
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#f0883e"),
    ("#009e73", "#3fc79a"),
    ("#8a5a9e", "#cc9bdc"),
    ("#7d6b00", "#e0c94a"),
)

STYLE: Final = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c2330; --soft: #5d6879; --line: #e3e7ed; --card: #f6f8fa;
  --shade: #e9edf3; --bad: #c3192d; --good: #18794e; }
@media (prefers-color-scheme: dark) { :root { --paper: #10151d; --ink: #e8ecf2; --soft: #98a4b5; --line: #27303d;
  --card: #18202b; --shade: #1f2937; --bad: #ff7b86; --good: #4cc38a; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2.5rem 1.25rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1040px; margin: 0 auto; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .3rem; letter-spacing: -.01em; }
p.lead { margin: 0 0 1.4rem; color: var(--soft); }
.verdict { font-weight: 650; } .pass { color: var(--good); } .fail { color: var(--bad); }
ul.failures { margin: 0 0 1.2rem; padding-left: 1.2rem; color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(128px, 1fr)); gap: .6rem; margin: 0 0 1.4rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .6rem .8rem; }
.card b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.card span { color: var(--soft); font-size: .82rem; }
.tag { display: inline-block; margin-left: .7rem; padding: .05rem .6rem; border: 1px solid var(--line);
  border-radius: 99px; color: var(--soft); font-size: .82rem; font-weight: 500; letter-spacing: 0;
  vertical-align: .25rem; }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1rem; margin: 0 0 1.4rem;
  font-size: .9rem; } .facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 0 0 1.4rem; overflow-x: auto; } svg { display: block; width: 100%; min-width: 640px; height: auto; }
figcaption { color: var(--soft); font-size: .86rem; margin-top: .5rem; }
svg text { fill: var(--soft); font-size: 12.5px; font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--line); } svg .shade { fill: var(--shade); } svg .edge { stroke: var(--soft); }
svg .name { fill: var(--ink); font-weight: 600; } svg .lost { stroke: var(--bad); stroke-width: 2; fill: none; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .4rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
th { color: var(--soft); font-weight: 550; font-size: .86rem; } footer { margin-top: 1.4rem; color: var(--soft);
  font-size: .84rem; overflow-wrap: anywhere; }
"""


def page(report: Report) -> str:
    """Return the report as one HTML page, whole in itself."""
    sites = ordered_sites(report)
    verdict = "Passed" if report.passed else "Failed"
    css = "pass" if report.passed else "fail"
    what = f"{_e(report.lost_part)} {'was killed' if report.kind == 'kill' else 'was frozen'}"
    by, way = "site answered", f"through the router at {report.entry}"
    dns = "" if report.dns is None else f"<p>{_e(dns_words(report.dns))}</p>"
    if report.loss is Loss.ROUTER:
        by = "router it came by"
        way = f"by clients that know the routers of {', '.join(report.routers)}, in this order"
    failures = "".join(f"<li>{_e(failure)}</li>" for failure in report.failures)
    cards = "".join(_card(name, value) for name, value in summary(report))
    emulated = report.setting is not None and report.setting.emulated
    tag = '<span class="tag">emulated clouds</span>' if emulated else ""
    setting = "".join(f"<dt>{_e(name)}</dt><dd>{_e(value)}</dd>" for name, value in facts(report))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Drill: {_e(report.environment)}, {_e(report.lost_part)}, {_e(report.kind.value)}</title>
<style>{STYLE}{_site_style(sites)}</style>
</head>
<body>
<main>
<h1>Drill on {_e(report.environment)}: {what} for {report.outage.healing_s - report.outage.asked_s:.0f} s{tag}</h1>
<p class="lead"><span class="verdict {css}">{verdict}.</span> {report.plan.rate_per_s:g} requests per second for the
model {_e(report.model)} {_e(way)}, every answer compared with the bare model.</p>
{f'<ul class="failures">{failures}</ul>' if failures else ""}
<div class="cards">{cards}</div>
<dl class="facts">{setting}</dl>
<figure>
{svg(report)}
<figcaption>Each dot is one request: when it was due, and how long its caller waited. The band below shows which
{by}. Crosses are lost requests or wrong answers.</figcaption>
</figure>
<div class="scroll">{_table(report)}</div>
{dns}
<footer>Started {_e(report.started)}. Latency counts from the time a request was due, so a request that waited for
others shows it. The load itself was late by {_e(milliseconds(report.late_s))} at most. The same figures:
report.json.</footer>
</main>
</body>
</html>
"""


def ordered_sites(report: Report) -> list[str]:
    """Return the sites (or routers) that answered: the broken one first, the others by how much they answered."""
    counts = Counter(by for sample in report.samples if (by := report.answered_by(sample)) is not None)
    others = sorted((site for site in counts if site != report.site), key=lambda site: (-counts[site], site))
    return [report.site, *others]


def svg(report: Report) -> str:
    """Return the picture alone."""
    sites = ordered_sites(report)
    total_s = max([report.plan.total_s, *(sample.scheduled_s for sample in report.samples)])
    low, high = _bounds(report.samples)
    bottom = HEIGHT - BOTTOM - STRIP - 8

    def x(seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / total_s

    def y(seconds: float) -> float:
        share = (math.log10(max(seconds, 1e-6)) - low) / (high - low)
        return bottom - (bottom - TOP) * min(1.0, max(0.0, share))

    parts = [_frame(report, x(report.outage.asked_s), x(report.outage.healing_s), bottom)]
    for power in range(math.ceil(low), math.floor(high) + 1):
        place = y(10.0**power)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{_e(_tick(10.0**power))}</text>')
    step = next(step for step in (1, 2, 5, 10, 30, 60, 300, 600, 3600, 86400) if total_s / step <= 16)
    for second in range(0, int(total_s) + 1, step):
        anchor = "end" if x(second) > WIDTH - RIGHT - 12 else "middle"
        parts.append(f'<text x="{x(second):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="{anchor}">{second} s</text>')
    for index, site in enumerate(sites):
        dots = [
            sample
            for sample in report.samples
            if report.answered_by(sample) == site and sample.outcome is Outcome.RIGHT
        ]
        parts.append(_dots(index, [(x(sample.scheduled_s), y(sample.latency_s)) for sample in dots]))
    crosses = "".join(
        f"M{x(sample.scheduled_s) - 4:.1f} {y(sample.latency_s) - 4:.1f}l8 8m-8 0l8 -8"
        for sample in report.samples
        if sample.outcome is not Outcome.RIGHT
    )
    if crosses:
        parts.append(f'<path class="lost" d="{crosses}"/>')
    parts.append(_strip(report, sites, x, total_s))
    parts.append(_legend(sites))
    by = "the site that answered" if report.loss is Loss.SITE else "the router it came by"
    label = f"Latency of every request over {total_s:.0f} s, coloured by {by}; outage shaded"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_e(label)}" xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(parts)}</svg>"
    )


def _card(name: str, value: str) -> str:
    return f'<div class="card"><b>{_e(value)}</b><span>{_e(name)}</span></div>'


def _frame(report: Report, start: float, end: float, bottom: float) -> str:
    word = "killed" if report.kind == "kill" else "frozen"
    return (
        f'<rect class="shade" x="{start:.1f}" y="{TOP}" width="{end - start:.1f}" height="{bottom - TOP:.1f}"/>'
        f'<text x="{start:.1f}" y="{TOP - 7}" class="name">{_e(report.lost_part)} {word}</text>'
        f'<line class="edge" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom:.1f}" y2="{bottom:.1f}"/>'
    )


def _dots(index: int, places: Sequence[tuple[float, float]]) -> str:
    """Draw one site's answers as one path: circles, squares or diamonds, so that thousands stay light."""
    shape = (
        "m-1.9 0a1.9 1.9 0 1 0 3.8 0a1.9 1.9 0 1 0 -3.8 0",
        "m-1.7 -1.7h3.4v3.4h-3.4z",
        "m0 -2.4l2.4 2.4l-2.4 2.4l-2.4 -2.4z",
    )
    drawn = "".join(f"M{left:.1f} {top:.1f}{shape[index % len(shape)]}" for left, top in places)
    return f'<path class="s{index % len(COLOURS)}" fill-opacity=".72" d="{drawn}"/>' if drawn else ""


def _strip(report: Report, sites: Sequence[str], x: Callable[[float], float], total_s: float) -> str:
    top = HEIGHT - BOTTOM - STRIP
    bins: dict[int, Counter[str]] = {}
    for sample in report.samples:
        if (by := report.answered_by(sample)) is not None:
            bins.setdefault(int(sample.scheduled_s / BAR_S), Counter())[by] += 1
    parts = []
    runs: list[tuple[int, int, Counter[str]]] = []  # neighbours of one site are drawn as one, without seams
    for place, counts in sorted(bins.items()):
        if runs and runs[-1][1] == place and len(counts) == 1 and runs[-1][2].keys() == counts.keys():
            runs[-1] = (runs[-1][0], place + 1, counts)
        else:
            runs.append((place, place + 1, counts))
    for first, after, counts in runs:
        left, whole = x(first * BAR_S), sum(counts.values())
        width = x(min(total_s, after * BAR_S)) - left
        height_used = 0.0
        for index, site in enumerate(sites):
            if counts[site]:
                height = STRIP * counts[site] / whole
                parts.append(
                    f'<rect class="s{index % len(COLOURS)}" x="{left:.1f}" y="{top + height_used:.1f}"'
                    f' width="{max(0.5, width):.1f}" height="{height:.1f}"/>'
                )
                height_used += height
    return f'<text x="{LEFT - 8}" y="{top + 11}" text-anchor="end">{report.loss.value}</text>{"".join(parts)}'


def _legend(sites: Sequence[str]) -> str:
    parts = []
    place = float(LEFT)
    for index, site in enumerate(sites):
        parts.append(f'<rect class="s{index % len(COLOURS)}" x="{place:.0f}" y="9" width="11" height="11" rx="2.5"/>')
        parts.append(f'<text class="name" x="{place + 17:.0f}" y="19">{_e(site)}</text>')
        place += 40 + 8.2 * len(site)
    return "".join(parts)


def _table(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{name}</td><td>{phase.requests:,}</td><td>{phase.lost:,}</td><td>{phase.wrong:,}</td>"
        f"<td>{milliseconds(phase.p50_s)}</td><td>{milliseconds(phase.p99_s)}</td><td>{milliseconds(phase.worst_s)}</td>"
        f"<td>{_e(_counts(phase.sites))}</td>"
        f"{'' if report.router is None else f'<td>{_e(_counts(report.router.entered[name]))}</td>'}</tr>"
        for name, phase in report.phases()
    )
    names = ["phase", "requests", "lost", "wrong", "p50", "p99", "worst", "answered by"]
    if report.router is not None:
        names.append("entered by")
    heads = "".join(f"<th>{head}</th>" for head in names)
    moved = f"Traffic left {_e(report.lost_part)} after {_e(span(report.figures.moved_after_s))}"
    back = f"came back {_e(span(report.figures.came_back_after_s))} after it was put back"
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table><p>{moved} and {back}.</p>"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _bounds(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return the powers of ten that hold all latencies, at least two apart."""
    latencies = [max(sample.latency_s, 1e-5) for sample in samples] or [1e-3]
    low, high = math.log10(min(latencies)) - 0.1, math.log10(max(latencies)) + 0.15
    return (low, high) if high - low >= 2 else (low - 0.2, low + 2)


def _tick(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _site_style(sites: Sequence[str]) -> str:
    count = min(len(sites), len(COLOURS))
    light = "".join(f".s{index} {{ fill: {COLOURS[index][0]}; }}" for index in range(count))
    dark = "".join(f".s{index} {{ fill: {COLOURS[index][1]}; }}" for index in range(count))
    return f"{light} @media (prefers-color-scheme: dark) {{ {dark} }}"


def _e(value: str) -> str:
    return html.escape(value, quote=True)
