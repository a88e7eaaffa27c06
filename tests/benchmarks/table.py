"""What every benchmark ends with: a table for people, JSON with the raw samples, and an exit code that says whether
each target was reached.
"""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

MISSED: Final = 3


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: was measured, with its unit.
        ours: the median.
        target: in words.
        holds: whether it was reached.
        peer: the median of a named peer in the same run, if there is one.
        peer_name: with its version and how it is set up.
        samples: name -> every measured value, in the order of measuring.
    """

    what: str
    ours: float
    target: str
    holds: bool
    peer: float | None = None
    peer_name: str = ""
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """The peer's figure through ours: how many times less ours is."""
        return self.peer / self.ours if self.peer is not None and self.ours else None


def median(samples: Sequence[float]) -> float:
    """Return the median of at least one sample."""
    return statistics.median(samples)


def finish(title: str, rows: Sequence[Row], path: Path) -> int:
    """Print the table, write the JSON, and return the exit code: 0, or 3 when a target is missed."""
    value = [{**asdict(row), "ratio": row.ratio} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1, "rows": value}, indent=2) + "\n", encoding="utf-8")
    table = Table(title=title, title_justify="left")
    for name in ("what", "ours", "range", "peer", "times", "target", ""):
        table.add_column(name, justify="right" if name in ("ours", "peer", "times") else "left")
    for row in rows:
        own = row.samples.get("ours", [])
        table.add_row(
            row.what,
            f"{row.ours:.4g}",
            f"{min(own):.4g} to {max(own):.4g}, n={len(own)}" if len(own) > 1 else "",
            f"{row.peer:.4g} {row.peer_name}" if row.peer is not None else "",
            f"{row.ratio:.2f}" if row.ratio is not None else "",
            row.target,
            "holds" if row.holds else "MISSED",
        )
    Console(width=150).print(table)
    print(f"raw samples: {path}")
    return 0 if all(row.holds for row in rows) else MISSED
