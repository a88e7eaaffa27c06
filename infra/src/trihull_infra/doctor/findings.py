"""What a check found, in words that say what to do; and what stands in no such words: secrets."""

import enum
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trihull_infra.cloud import Cloud

_LONGEST: Final = 400
# Variables whose values no message may repeat, whatever an SDK puts into its errors.
_SECRET_NAME: Final = re.compile(r"SECRET|TOKEN|PASSWORD|PASSPHRASE|ACCESS_KEY|CREDENTIALS?$|API_KEY", re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(
    r"(?i)(bearer\s+)\S+|\beyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=://)[^/@\s]+:[^/@\s]+@|-----BEGIN.*"
)


class Status(enum.StrEnum):
    """How a check went; only `failed` makes the whole fail."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Finding:
    """One thing that a check saw, and what to do about it (empty when nothing is to be done)."""

    status: Status
    seen: str
    do: str = ""


@dataclass(frozen=True)
class Result:
    """A finding with the check that it is of; `cloud` is None for what no cloud is asked about."""

    check: str
    cloud: Cloud | None
    finding: Finding


def ok(seen: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(Status.OK, seen)


def warning(seen: str, do: str) -> Finding:
    """Return that a deploy may go wrong, or that something could not be found out for sure."""
    return Finding(Status.WARNING, seen, do)


def failed(seen: str, do: str) -> Finding:
    """Return that a deploy will go wrong."""
    return Finding(Status.FAILED, seen, do)


def not_asked(seen: str, do: str = "") -> Finding:
    """Return that nothing was asked, and why."""
    return Finding(Status.NOT_ASKED, seen, do)


def compare(what: str, need: float, limit: float, used: float, do: str, *, up: bool = False) -> Finding:
    """Say whether a quota is enough.

    Args:
        what: the quota, with its unit.
        need: what the whole environment needs at most.
        limit: what the account may have.
        used: what it has already; of others alone, unless `up`.
        do: how to get more.
        up: the site is there, and `used` may hold its own share, which nobody tells apart.
    """
    free = max(limit - used, 0)
    seen = f"{what}: needs {need:g}, {free:g} of {limit:g} free"
    if need <= free:
        return ok(seen)
    if need > limit or not up:
        return failed(seen, do)
    return warning(f"{seen}; the site is up and part of the use may be its own", do)


def plain(error: BaseException | str, environ: Mapping[str, str] = os.environ) -> str:
    """Return an error's text in one short line, without the values of variables that hold secrets, and no token."""
    text = " ".join(str(error).split()) or type(error).__name__
    hidden = [value for name, value in environ.items() if _SECRET_NAME.search(name) and len(value) >= 6]
    for value in sorted(hidden, key=len, reverse=True):
        if not value.startswith("/"):  # the path of a file is no secret, and says where to look
            text = text.replace(value, "***")
    text = _SECRET_TEXT.sub(lambda match: f"{match[1] or ''}***", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
