"""Runs checks side by side, each with a time limit: one that hangs is reported and holds up nothing."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from trihull_infra.cloud import Cloud
from trihull_infra.doctor import findings
from trihull_infra.doctor.findings import Finding, Result, Status

LIMIT_S: Final = 45.0  # a cloud's CLI, asked by its SDK for a token, takes seconds by itself


@dataclass(frozen=True)
class Check:
    """A question, and of which cloud it is; `problem` says what an exception means."""

    name: str
    cloud: Cloud | None
    ask: Callable[[], Sequence[Finding]]
    problem: Callable[[Exception], Finding] = field(
        default=lambda error: findings.failed(
            f"{type(error).__name__}: {findings.plain(error)}", "this check itself failed; look into its message"
        )
    )


def run(checks: Sequence[Check], limit_s: float = LIMIT_S) -> list[Result]:
    """Ask all of them at once and return what they found, in their own order."""
    answers: list[Sequence[Finding] | None] = [None] * len(checks)

    def ask(place: int, check: Check) -> None:
        try:
            answers[place] = check.ask()
        except Exception as error:  # noqa: BLE001 - the boundary of a check: whatever it is becomes its finding
            answers[place] = [check.problem(error)]

    # Daemons, so that one that never returns does not keep the process either.
    threads = [
        threading.Thread(target=ask, args=(place, check), name=check.name, daemon=True)
        for place, check in enumerate(checks)
    ]
    deadline = time.monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    late = findings.failed(
        f"no answer within {limit_s:g} s", "check network, proxy and firewall between here and the cloud"
    )
    return [
        Result(check.name, check.cloud, finding)
        for check, answer in zip(checks, list(answers), strict=True)
        for finding in ([late] if answer is None else answer)
    ]


def told_once(results: Sequence[Result]) -> list[Result]:
    """Return results in which a cloud's trouble is told once: credentials that fail one check fail them all."""
    told: set[tuple[Cloud | None, Finding]] = set()
    found = []
    for result in results:
        again = (result.cloud, result.finding) in told and result.finding.status is Status.FAILED
        told.add((result.cloud, result.finding))
        found.append(replace(result, finding=findings.not_asked("for the reason above")) if again else result)
    return found
