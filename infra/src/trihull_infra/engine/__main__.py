"""`python -m trihull_infra.engine`: make sure that there is an engine and print its path (for Makefile and CI)."""

import sys

from trihull_infra.engine import ensure
from trihull_runtime.errors import TrihullError


def main() -> int:
    """Print the path of the engine; return the exit code."""
    try:
        print(ensure().path)
    except TrihullError as error:
        print(f"trihull: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
