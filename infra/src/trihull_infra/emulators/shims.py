"""The executables that the engine finds on PATH instead of the official plugins."""

import shlex
import sys
from pathlib import Path

from trihull_infra.emulators.home import Home
from trihull_infra.emulators.recorder.packages import MODULES
from trihull_runtime.contract.codec import write_file

SCRIPT = Path(__file__).with_name("shim.py")


def write(home: Home) -> None:
    """Write one executable per emulated package; each names this interpreter and this home, so PATH is all it needs."""
    for package in MODULES:
        command = [sys.executable, "-IS", str(SCRIPT), package, str(home.address_file)]
        text = f"#!/bin/sh\nexec {shlex.join(command)}\n"
        write_file(home.shims / f"pulumi-resource-{package}", text.encode(), mode=0o755)
