"""Which version of the engine is wanted, and which of a user's own is good enough."""

import re
import tomllib
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parent / "data"
_SETTINGS: Final[dict[str, str]] = tomllib.loads((DATA / "engine.toml").read_text(encoding="utf-8"))
VERSION: Final[str] = _SETTINGS["version"]
BELOW: Final[str] = _SETTINGS["below"]

Version = tuple[int, int, int]


def parse(text: str) -> Version | None:
    """Read `v3.250.0` or `3.250.0-dev.1`: major, minor, patch; None when it is no version at all."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)(?![0-9.])", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def accepted(text: str) -> bool:
    """Tell whether an engine of this version speaks the SDK's protocol: not older than VERSION, below BELOW."""
    version, lowest, limit = parse(text), parse(VERSION), parse(BELOW)
    assert lowest is not None
    assert limit is not None
    return version is not None and lowest <= version < limit


def go_required() -> str:
    """Return the Go version that the pinned `go.mod` asks for, as `1.25.11`."""
    match = re.search(r"^go (\d+\.\d+(?:\.\d+)?)$", (DATA / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    assert match is not None
    return match[1]
