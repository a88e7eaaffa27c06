"""`make bench-router`: the router's figures, each beside its peers in one run; docs/benchmarks.md explains them.

`python -m tests.benchmarks.router throughput endpoints` measures those alone, and writes their rows alone.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from tests.benchmarks.router import endpoints, instructions, outages, throughput
from tests.benchmarks.table import Machine, MissingError, Row, finish
from trihull_runtime.errors import TrihullError

RESULT: Final = Path("build/bench/router.json")
PARTS: Final[Mapping[str, Callable[[Path], list[Row]]]] = {
    "throughput": throughput.rows, "instructions": instructions.rows, "outages": outages.rows,
    "endpoints": endpoints.rows,
}  # fmt: skip


def main(names: Sequence[str]) -> int:
    """Measure everything, or what is named; returns the exit code."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"bench-router: unknown part {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 64
    signal.signal(signal.SIGTERM, _stop)
    load = os.getloadavg()
    try:
        with tempfile.TemporaryDirectory(prefix="th-bench.", dir="/tmp") as name:  # a socket's path must be short
            rows = [
                row for part, measure in PARTS.items() if not names or part in names
                for row in measure(_made(Path(name, part)))
            ]  # fmt: skip
    except (MissingError, TrihullError) as error:
        print(f"bench-router: {error}", file=sys.stderr)
        return error.exit_code
    return finish("router", rows, Machine.seen(load), RESULT)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _stop(number: int, frame: FrameType | None) -> None:
    """End the run in order, so that whatever was started ends too."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
