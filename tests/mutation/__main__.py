"""`python -m tests.mutation`: every fault must be caught; exit code 1 when one survives, or can no longer be made."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.mutation import run
from tests.mutation.faults import FAULTS
from tests.mutation.run import Outcome, Result


def main(arguments: list[str]) -> int:
    """Try the faults, print a line for each, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the beginning of faults' names; all when left out")
    parser.add_argument("--jobs", type=int, default=1, help="how many faults are tried at once (default 1)")
    parser.add_argument("--output", type=Path, default=run.ROOT / "build" / "mutation.json", help="where JSON goes")
    options = parser.parse_args(arguments)
    faults = [fault for fault in FAULTS if not options.names or fault.name.startswith(tuple(options.names))]
    if not faults:
        parser.error(f"no fault begins with {' or '.join(options.names)}")
    with tempfile.TemporaryDirectory(prefix="trihull-mutation-") as folder:
        sound = Path(folder).resolve() / "sound"
        run.copy(run.ROOT, sound)
        problem = run.check_sound(sound, faults)
        if problem:
            print(problem, file=sys.stderr)
            return 1
        print(f"{len(faults)} faults; without any the tests pass")
        results = run.run(run.ROOT, Path(folder).resolve(), faults, max(1, options.jobs), show)
    run.write(options.output, results)
    summary = Counter(result.outcome for result in results)
    print(", ".join(f"{count} {outcome}" for outcome, count in summary.items()), f"({options.output})")
    return 0 if set(summary) == {Outcome.CAUGHT} else 1


def show(result: Result) -> None:
    """Print one result."""
    text = result.caught_by or advice(result)
    print(f"{result.outcome:9} {result.name:36} {result.seconds:6.1f} s  {text}", flush=True)


def advice(result: Result) -> str:
    """Return what to do about a fault that was not caught."""
    match result.outcome:
        case Outcome.SURVIVED:
            return f"{result.breaks}, and {', '.join(result.tests)} pass: write the test that catches it"
        case Outcome.STALE:
            return f"{result.file}: the old text is not there exactly once: adapt the fault to the file"
        case Outcome.BROKEN:
            return f"pytest gave no verdict:\n{result.output[-2000:]}"
        case Outcome.CAUGHT:
            return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
