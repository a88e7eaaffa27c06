"""When to try again: only what may go better, later each time, and not for ever."""

import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})  # RFC 9110, RFC 6585: what a later request may not meet


@dataclass(frozen=True)
class Retry:
    """How often, and how long to wait.

    Attributes:
        attempts: at most.
        first_s: the wait after the first failure; each later one is twice as long, less up to a half by chance.
        longest_s: no single wait is longer, whatever the registry asks for.
        total_s: no new attempt begins when so much time went by since the first one.
        sleep: waits.
        jitter: a number from 0 to 1.
        clock: seconds, never backwards.
        now: seconds since the epoch, for a `Retry-After` that is a date.
    """

    attempts: int = 6
    first_s: float = 0.25
    longest_s: float = 15
    total_s: float = 120
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time

    def wait_s(self, failures: int, retry_after: str | None) -> float:
        """Return how long to wait after so many failures (1 is the first); what the registry asks for is heeded."""
        asked = self._asked_s(retry_after)
        own = self.first_s * 2 ** (failures - 1) * (1 - self.jitter() / 2)
        return float(min(self.longest_s, max(own, asked)))

    def _asked_s(self, retry_after: str | None) -> float:
        """Return the seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3); 0 for what is no such value."""
        if retry_after is None:
            return 0
        if retry_after.strip().isdecimal():
            return float(retry_after)
        try:
            asked = email.utils.parsedate_to_datetime(retry_after)
            return max(0.0, float(asked.timestamp()) - self.now())
        except (ValueError, TypeError, OverflowError):
            return 0
