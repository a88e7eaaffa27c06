"""Runs containers in their image's own root, by user and mount namespaces: no root, no container engine.

What is the container's own: its root (read-only), /dev, /tmp, its volumes, its environment. What it shares with the
machine: network, process table and CPU; limits and security contexts are not enforced. A local cluster is for trying,
    not for guarding.
"""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from trihull_infra.emulators.cluster import images
from trihull_infra.emulators.cluster.errors import ImageError
from trihull_infra.emulators.cluster.images import Images
from trihull_infra.emulators.cluster.processes import launcher_input
from trihull_infra.emulators.cluster.runner import Bind, Container, Plan

SYSTEM_FOLDERS = ("proc", "sys", "dev")
# What every container engine puts into /etc, so that names resolve as on the machine whose network is shared.
NETWORK_FILES = ("/etc/hosts", "/etc/resolv.conf")
PROBE_TIMEOUT_S = 20


class IsolatedRunner:
    """A `Runner` by namespaces."""

    isolation = "namespaces"

    def __init__(self, cache: Images) -> None:
        """Take unpacked images from `cache`."""
        self.images = cache

    def plan(self, container: Container) -> Plan:
        """See `Runner.plan`."""
        image = self.images.get(container.image)
        argv = images.command(image.config, container.command, container.args)
        uid, gid = user(image.root, str(image.config.get("User") or "0"))
        cwd = container.working_dir or str(image.config.get("WorkingDir") or "/")
        files = tuple(Bind(Path(name).resolve(), name, True) for name in NETWORK_FILES if Path(name).is_file())
        with self.images.locked(image.root.parent):
            mounts = tuple(_mount(image.root, bind) for bind in sorted(container.binds + files, key=_depth))
            for name in SYSTEM_FOLDERS:
                images.resolve(image.root, name).mkdir(parents=True, exist_ok=True)
        inside = images.resolve(image.root, cwd)
        if not inside.is_dir() and not any(Path(cwd).is_relative_to(bind.target) for bind in container.binds):
            raise ImageError(f"Image {container.image}: its working folder {cwd} does not exist in it.")
        env = images.environment(image.config) | dict(container.environment)
        return Plan(argv, env, cwd, str(image.root), uid, gid, mounts)


def user(root: Path, name: str) -> tuple[int, int]:
    """Return the numbers of an image's `User`: `65532:65532`, `65532`, or names from the image's own /etc/passwd.

    Raises:
        ImageError: a name that the image does not know.
    """
    owner, _, group = name.partition(":")
    known = _known(images.resolve(root, "/etc/passwd"))
    if owner.isdigit():
        uid, gid = int(owner), next((gid for number, gid in known.values() if number == int(owner)), 0)
    elif owner in known:
        uid, gid = known[owner]
    else:
        raise ImageError(f"The image's user {owner!r} is not in its /etc/passwd.")
    if not group:
        return uid, gid
    if group.isdigit():
        return uid, int(group)
    groups = _known(images.resolve(root, "/etc/group"))
    if group not in groups:
        raise ImageError(f"The image's group {group!r} is not in its /etc/group.")
    return uid, groups[group][0]


def _known(path: Path) -> dict[str, tuple[int, int]]:
    """Read name -> (number, group number) from passwd(5), name -> (number, 0) from group(5)."""
    if not path.is_file():
        return {}
    result = {}
    for line in path.read_text(errors="replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and fields[2].isdigit():
            result[fields[0]] = (int(fields[2]), int(fields[3]) if fields[3].isdigit() else 0)
    return result


def _depth(bind: Bind) -> tuple[int, str]:
    return bind.target.count("/"), bind.target


def _mount(root: Path, bind: Bind) -> tuple[str, str, bool]:
    """Make the mount point in the image's root (nothing else is ever written there) and return the mount."""
    target = images.resolve(root, bind.target)
    if bind.source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    return str(bind.source), str(target), bind.read_only


@functools.cache
def unavailable() -> str:
    """Try once whether this machine lets us make namespaces.

    Returns:
        Why not, in one sentence; an empty text when it does.
    """
    if sys.platform != "linux":
        return f"namespaces exist on Linux only, and this is {sys.platform}"
    with tempfile.TemporaryDirectory(prefix="trihull-probe-") as folder:
        root = Path(folder)
        for name in (*SYSTEM_FOLDERS, "tmp"):
            (root / name).mkdir()
        plan = Plan((), {}, "/", str(root), 65532, 65532, ((folder, str(root / "tmp"), True),))
        argv, text = launcher_input(plan, os.getpid())
        try:
            result = subprocess.run(argv, input=text, capture_output=True, timeout=PROBE_TIMEOUT_S, env={}, check=False)
        except subprocess.TimeoutExpired:
            return f"trying namespaces did not end within {PROBE_TIMEOUT_S} s"
    if result.returncode == 0:
        return ""
    return result.stderr.decode(errors="replace").strip() or f"trying namespaces ended with code {result.returncode}"
