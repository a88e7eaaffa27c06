"""How the doctor's findings are shown: lines for people, one JSON document for machines."""

import json
from collections.abc import Sequence
from itertools import groupby

from trihull_infra.doctor.findings import Result, Status


def as_text(environment: str, results: Sequence[Result]) -> str:
    """Return one line a finding, with a second one that says what to do."""
    lines = []
    for cloud, found in groupby(results, key=lambda one: one.cloud):
        lines.append(f"{cloud or 'this machine'}")
        for result in found:
            lines.append(f"  {result.finding.status:<9}  {result.check:<18}  {result.finding.seen}")
            if result.finding.do and result.finding.status is not Status.OK:
                lines.append(f"{'':<33}-> {result.finding.do}")
    counts = {status: sum(one.finding.status is status for one in results) for status in Status}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    verdict = "would go wrong" if counts[Status.FAILED] else "can be tried"
    return "\n".join([*lines, f"a deploy of {environment} {verdict}: {said}", ""])


def as_json(environment: str, results: Sequence[Result]) -> str:
    """Return everything as JSON; `verdict` is failed when any status is."""
    failed = any(one.finding.status is Status.FAILED for one in results)
    document = {
        "version": 1,
        "environment": environment,
        "verdict": Status.FAILED if failed else Status.OK,
        "findings": [
            {
                "check": one.check,
                "cloud": one.cloud,
                "status": one.finding.status,
                "seen": one.finding.seen,
                "do": one.finding.do,
            }
            for one in results
        ],
    }
    return json.dumps(document, indent=2) + "\n"
