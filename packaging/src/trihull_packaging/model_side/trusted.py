"""What may be loaded from a skops file beside what skops itself knows to be safe, and how a script says no.

Our own list. What the file itself asks to be trusted is whatever its maker wants, so that is never used.
"""

import sys

TRUSTED: list[str] = []


def refusal(message: str) -> int:
    """Say why the job cannot be done and return the exit code for it (EX_DATAERR)."""
    print(message, file=sys.stderr)
    return 65
