"""What every benchmark ends with: a table for people, JSON with the raw samples, and an exit code that says whether
each target was reached.
"""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

MISSED: Final = 3
LOADED: Final = 0.5  # runnable processes per core before a run, beyond which its times say much about the others


class MissingError(Exception):
    """What a benchmark needs is not there: the message names it and how to get it. Its exit code is 69."""

    exit_code: Final = 69


@dataclass(frozen=True)
class Target:
    """What is to be reached; without any it is a figure that is only stated.

    Attributes:
        at_most: our figure, in its own unit.
        times: the peer's figure is at least so many times ours.
    """

    at_most: float | None = None
    times: float | None = None

    def holds(self, ours: float, peer: float | None) -> bool:
        """Whether it is reached; a ratio without a peer is not."""
        small = self.at_most is None or ours <= self.at_most
        return small and (self.times is None or (peer is not None and peer >= self.times * ours))

    def __str__(self) -> str:
        """Return it in words."""
        parts = [f"<= {self.at_most:g}"] if self.at_most is not None else []
        parts += [f">= {self.times:.3g} x"] if self.times is not None else []
        return ", ".join(parts) or "stated"


STATED: Final = Target()


@dataclass(frozen=True)
class Row:
    """One figure; less is better.

    Attributes:
        what: was measured, with its unit.
        samples: every measured value of ours, in the order of measuring; at least one.
        target: what is to be reached.
        peers: name with version -> its samples, taken in the same run; the smallest median is the peer to beat.
        setup: how the peers are set up.
        parts: name -> samples of a part of ours, or of the same under other conditions: stated, not compared.
        paired: samples of one index were taken side by side; the ratio is the median of theirs.
    """

    what: str
    samples: Sequence[float]
    target: Target = STATED
    peers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    setup: str = ""
    parts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    paired: bool = False

    @property
    def ours(self) -> float:
        """The median."""
        return statistics.median(self.samples)

    @property
    def peer_name(self) -> str:
        """The best peer; empty without any."""
        return min(self.peers, key=lambda name: statistics.median(self.peers[name]), default="")

    @property
    def peer(self) -> float | None:
        """The best peer's median."""
        return statistics.median(self.peers[self.peer_name]) if self.peers else None

    @property
    def ratio(self) -> float | None:
        """The peer's figure through ours: how many times less ours is."""
        if self.paired and self.peers:
            pairs = zip(self.samples, self.peers[self.peer_name], strict=True)
            return statistics.median(peer / ours for ours, peer in pairs)
        return self.peer / self.ours if self.peer is not None and self.ours else None

    @property
    def holds(self) -> bool:
        """Whether the target is reached."""
        peer = self.ratio * self.ours if self.paired and self.ratio is not None else self.peer
        return self.target.holds(self.ours, peer)

    def to_value(self) -> dict[str, object]:
        """Return it as plain values, for JSON."""
        return {
            "what": self.what, "ours": self.ours, "peer": self.peer, "peer_name": self.peer_name, "ratio": self.ratio,
            "target": str(self.target), "holds": self.holds, "setup": self.setup,
            "samples": {"ours": list(self.samples), **{name: list(found) for name, found in self.peers.items()}},
            "parts": {name: list(found) for name, found in self.parts.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Where it was measured, and how busy that was before and after (getloadavg(3): the last minute, five, fifteen)."""

    cores: int
    system: str
    python: str
    load_before: tuple[float, float, float]
    load_after: tuple[float, float, float]

    @classmethod
    def seen(cls, load_before: tuple[float, float, float]) -> "Machine":
        """Look at this machine at the end of a run; no name of it is kept."""
        system = f"{platform.system()} {platform.release()}, {platform.machine()}"
        return cls(os.cpu_count() or 1, system, platform.python_version(), load_before, os.getloadavg())

    def noise(self) -> str:
        """Return what a reader has to know of the figures' worth."""
        text = f"{self.cores} cores, load {self.load_before[0]:.1f} before and {self.load_after[0]:.1f} after"
        busy = self.load_before[0] > LOADED * self.cores
        return f"{text}: other work was running; times mean little" if busy else text


def finish(title: str, rows: Sequence[Row], machine: Machine, path: Path) -> int:
    """Print the table, write the JSON, and return the exit code: 0, or 3 when a target is missed."""
    value = {"version": 1, "machine": asdict(machine), "rows": [row.to_value() for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    table = Table(title=f"{title} ({machine.noise()})", title_justify="left")
    for name in ("what", "ours", "peer", "times", "target", ""):
        table.add_column(name, justify="right" if name == "times" else "left")
    for row in rows:
        table.add_row(row.what, _figure(row.samples), _peer(row), f"{row.ratio:.2f}" if row.ratio is not None else "",
                      str(row.target), "holds" if row.holds else "MISSED")  # fmt: skip
    Console(width=150).print(table)
    print(f"raw samples: {path}")
    return 0 if all(row.holds for row in rows) else MISSED


def _figure(samples: Sequence[float]) -> str:
    text = _number(statistics.median(samples))
    if len(samples) == 1:
        return text
    return f"{text} ({_number(min(samples))} to {_number(max(samples))}, n={len(samples)})"


def _peer(row: Row) -> str:
    return f"{_figure(row.peers[row.peer_name])} {row.peer_name}" if row.peers else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
