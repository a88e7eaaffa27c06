"""`python -m trihull_runtime.server`: the container's entry point, configured by the environment alone."""

import os
import sys
import traceback

from trihull_runtime.errors import TrihullError


def main() -> int:
    """Serve, and turn an error into one message and its exit code."""
    try:
        from trihull_runtime.server.process import run
        from trihull_runtime.server.settings import Settings

        return run(Settings.from_environment())
    except TrihullError as error:
        if os.environ.get("TRIHULL_DEBUG"):
            traceback.print_exc()
        print(f"trihull: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
