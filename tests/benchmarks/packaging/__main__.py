"""`make bench-packaging`: packaging's figures, each beside its peer in one run; docs/benchmarks.md explains them.

`python -m tests.benchmarks.packaging changes sizes` measures those alone, and writes their rows alone.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from tests.benchmarks.packaging import changes, cold, memory, sizes, starts
from tests.benchmarks.packaging.workspace import Workspace
from tests.benchmarks.table import Machine, MissingError, Row, finish
from tests.container import engines
from trihull_runtime.errors import TrihullError

RESULT: Final = Path("build/bench/packaging.json")
PARTS: Final[Mapping[str, Callable[[Workspace], list[Row]]]] = {
    "changes": changes.rows, "sizes": sizes.rows, "memory": memory.rows, "cold": cold.rows, "starts": starts.rows,
}  # fmt: skip


def main(names: Sequence[str]) -> int:
    """Measure everything, or what is named; returns the exit code."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"bench-packaging: unknown part {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 64
    signal.signal(signal.SIGTERM, _stop)
    load = os.getloadavg()
    try:
        with engines.folder_of("bench") as folder:
            work = Workspace.prepared(folder)
            rows = [row for name, part in PARTS.items() if not names or name in names for row in part(work)]
    except (MissingError, TrihullError) as error:  # packaging's own say it likewise: 69 without network
        print(f"bench-packaging: {error}", file=sys.stderr)
        return error.exit_code
    return finish("packaging", rows, Machine.seen(load), RESULT)


def _stop(number: int, frame: FrameType | None) -> None:
    """End the run in order, so that the engines end too."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
