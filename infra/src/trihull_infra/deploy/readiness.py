"""Waits until routers accept requests: `GET <url>/routerz`."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from trihull_infra.cloud import Cloud

EMULATED_S: Final = 60.0
REAL_S: Final = 600.0  # a new load balancer's name takes minutes to resolve
_PAUSE_S: Final = 0.2
_ONE_S: Final = 5.0


class Timer:
    """Seconds since it was made."""

    def __init__(self) -> None:
        """Start."""
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begun


@dataclass(frozen=True)
class Outcome:
    """How long a router took, and the problem when it did not get ready."""

    seconds: float
    problem: str = ""


def wait(routers: Mapping[Cloud, str], timeout_s: float, going_on: Callable[[], bool]) -> dict[Cloud, Outcome]:
    """Ask each router until it answers 200, or the time is over, or `going_on` says no.

    Returns:
        One outcome per router.
    """
    timer, outcomes, last = Timer(), dict[Cloud, Outcome](), dict[Cloud, str]()
    while len(outcomes) < len(routers):
        for cloud, url in routers.items():
            if cloud not in outcomes:
                last[cloud] = _ask(f"{url}/routerz")
                if not last[cloud]:
                    outcomes[cloud] = Outcome(timer.seconds)
        if timer.seconds > timeout_s or not going_on():
            for cloud, url in routers.items():
                if cloud not in outcomes:
                    problem = f"{url}/routerz did not answer 200 within {timer.seconds:.0f} s: {last[cloud]}"
                    outcomes[cloud] = Outcome(timer.seconds, problem)
        elif len(outcomes) < len(routers):
            time.sleep(_PAUSE_S)
    return outcomes


def _ask(url: str) -> str:
    """Return what is wrong; empty when the router accepts."""
    try:
        with urllib.request.urlopen(url, timeout=_ONE_S) as answer:  # noqa: S310 - http(s), from a stack's output
            return "" if answer.status == 200 else f"it answered {answer.status}"
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answered {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", "")) or str(error) or type(error).__name__
