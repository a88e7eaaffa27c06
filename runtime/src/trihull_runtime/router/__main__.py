"""`python -m trihull_runtime.router`: the router of a container, told by environment variables alone."""

import sys

from trihull_runtime.errors import TrihullError
from trihull_runtime.router import settings
from trihull_runtime.router.run import run


def main() -> int:
    """Run until told to stop; returns the exit code."""
    try:
        run(settings.from_environment())
    except TrihullError as error:
        print(f"trihull: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
