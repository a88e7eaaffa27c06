"""Logs of pods: files that do not grow without end, and their last lines for people."""

from pathlib import Path

LIMIT_BYTES = 5 * 1024 * 1024
TAIL_BYTES = 2000
TAIL_LINES = 8


def bound(path: Path) -> None:
    """Keep a log small: beyond the limit its last part moves to `<log>.1` and it begins anew.

    Pods write with O_APPEND, so that writing goes on at the new end. What is written in between the two steps is lost.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    if size <= LIMIT_BYTES:
        return
    with path.open("r+b") as log:
        log.seek(size - LIMIT_BYTES)
        path.with_name(f"{path.name}.1").write_bytes(log.read(LIMIT_BYTES))
        log.truncate(0)


def tail(path: Path) -> str:
    """Return the last lines of a log as one line, separated by ` | `; empty when there are none."""
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-TAIL_LINES:])
