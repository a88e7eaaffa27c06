"""Where trihull keeps what lies outside a checkout: state that matters and caches that do not."""

import os
from pathlib import Path


def state_home() -> Path:
    """Return the folder of emulated clouds and of local stacks' state: `TRIHULL_HOME`, else the user's state folder."""
    if chosen := os.environ.get("TRIHULL_HOME"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "trihull"


def cache_home() -> Path:
    """Return the folder of what can be made again (the engine): `TRIHULL_CACHE`, else the user's cache folder."""
    if chosen := os.environ.get("TRIHULL_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trihull"
