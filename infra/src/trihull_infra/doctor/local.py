"""What the emulated clouds of `local` need: their packages, a home that can be written, namespaces for pods."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from trihull_infra.cloud import Cloud
from trihull_infra.doctor import findings
from trihull_infra.doctor.findings import Finding
from trihull_infra.emulators import client
from trihull_infra.errors import EmulatorError
from trihull_runtime import paths

MODULES: Final = {Cloud.AWS: "pulumi_aws", Cloud.GCP: "pulumi_gcp", Cloud.AZURE: "pulumi_azure_native"}


def packages(clouds: Sequence[Cloud]) -> Sequence[Finding]:
    """Say whether the SDKs that the emulators read, and moto, are installed; none is imported."""
    wanted = {MODULES[cloud]: cloud.value for cloud in clouds if cloud in MODULES} | {"moto": "emulators"}
    missing = sorted(extra for module, extra in wanted.items() if find_spec(module) is None)
    if missing:
        return [findings.failed(f"not installed: {', '.join(missing)}", f"install trihull-infra[{','.join(missing)}]")]
    return [findings.ok("the SDKs and moto are installed")]


def home() -> Sequence[Finding]:
    """Say whether the emulators' state can be written."""
    folder = paths.state_home()
    there = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        do = "make it writable, or set TRIHULL_HOME to a folder that is"
        return [findings.failed(f"{there} cannot be written: {findings.plain(error)}", do)]
    return [findings.ok(str(folder))]


def daemon() -> Sequence[Finding]:
    """Say whether the emulators run; `up local` starts them."""
    try:
        found = client.connect()
        found.status()
    except EmulatorError as error:
        text = findings.plain(error)
        if "not running" in text:
            return [findings.ok("not running; `trihull up local` starts them")]
        return [findings.failed(text, "stop them (`trihull emulators stop`) and look into their log")]
    return [findings.ok(f"running, pid {found.pid}, epoch {found.epoch}")]


def pods() -> Sequence[Finding]:
    """Say whether pods can have a root of their own here: user namespaces, on Linux."""
    if sys.platform != "linux":
        return [findings.warning("pods run as plain processes: no user namespaces here", "nothing, for trying")]
    program = shutil.which("unshare")
    if program is None:
        return [findings.not_asked("unshare is not on PATH: whether namespaces are open is not known")]
    command = [program, "--user", "--map-root-user", "--mount", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, env=dict(os.environ), check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [findings.not_asked(findings.plain(error))]
    if done.returncode == 0:
        return [findings.ok("user namespaces are open")]
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists()
    hint = "`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`" if restricted else "open user namespaces"
    return [
        findings.warning(f"no user namespaces: {findings.plain(done.stderr)}", f"{hint}, or pods are plain processes")
    ]
