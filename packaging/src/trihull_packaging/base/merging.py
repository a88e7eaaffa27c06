"""Packages into one root: what a Python process needs of them, without maintainer scripts and without a shell.

What the scripts would have done is done here: the merged /usr, users, the bundle of certificates, package records that
scanners read (`var/lib/dpkg/status.d`, as distroless images have them).
"""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from trihull_packaging.base.apt import Package
from trihull_packaging.errors import ToolError

MERGED: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into /usr, as Debian has had them since 12
DROPPED: Final = (
    "usr/sbin", "usr/games", "usr/include", "usr/src", "usr/share/man", "usr/share/info", "usr/share/locale",
    "usr/share/lintian", "usr/share/bash-completion", "usr/share/doc-base", "usr/share/python3", "usr/share/pixmaps",
    "usr/share/applications", "usr/share/debconf", "usr/share/gdb", "usr/share/binfmts", "usr/share/base-files",
    "usr/share/zoneinfo/right", "usr/share/zoneinfo/posix", "etc/init.d", "etc/cron.daily", "etc/ca-certificates",
)  # fmt: skip
USERS: Final = """\
root:x:0:0:root:/:/nonexistent
nonroot:x:65532:65532:nonroot:/nonexistent:/nonexistent
nobody:x:65534:65534:nobody:/nonexistent:/nonexistent
"""
GROUPS: Final = "root:x:0:\nnonroot:x:65532:\nnogroup:x:65534:\n"
NSSWITCH: Final = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"


def placed(name: str) -> str | None:
    """Return where a package's entry goes, relative to the root; None when it is left out."""
    path = name.removeprefix("./").strip("/")
    top, _, rest = path.partition("/")
    if top in MERGED:
        path = f"usr/{path}" if rest else ""
    if not path or any(path == folder or path.startswith(f"{folder}/") for folder in DROPPED):
        return None
    parts = path.split("/")
    if ".." in parts:
        return None
    if parts[:3] == ["usr", "share", "doc"]:  # licences stay with what they license
        return path if len(parts) == 4 or parts[4:] == ["copyright"] else None
    if parts[:2] == ["usr", "bin"] and len(parts) > 2 and not parts[2].startswith("python3"):
        return None
    if parts[:2] == ["usr", "lib"] and "gconv" in parts:  # Python has codecs of its own
        return None
    return path


def merge(packages: Sequence[Package], files: Mapping[str, Path], root: Path) -> dict[str, int]:
    """Fill an empty folder from packages; return how many bytes of files each of them brought.

    Args:
        packages: by name; on a clash the later one wins, as dpkg would refuse it.
        files: name -> `.deb`.
        root: the folder.

    Raises:
        ToolError: dpkg-deb cannot read a file.
    """
    sizes = {package.name: _extract(files[package.name], root) for package in packages}
    for name in MERGED:
        if (root / "usr" / name).is_dir() or name in ("bin", "sbin"):
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(f"usr/{name}")
    for folder in ("etc", "tmp", "var/tmp", "proc", "sys", "dev", "run", "models"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    _write(root / "etc/passwd", USERS)
    _write(root / "etc/group", GROUPS)
    _write(root / "etc/nsswitch.conf", NSSWITCH)
    for name, target in (
        ("cert.pem", "ca-certificates.crt"),
        ("certs", ""),
    ):  # where OpenSSL looks; `openssl` links them
        (root / "usr/lib/ssl").mkdir(parents=True, exist_ok=True)
        (root / "usr/lib/ssl" / name).symlink_to(f"/etc/ssl/certs/{target}".rstrip("/"))
    bundle = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    _write(root / "etc/ssl/certs/ca-certificates.crt", "".join(path.read_text(encoding="ascii") for path in bundle))
    for package in packages:
        _write(root / "var/lib/dpkg/status.d" / package.name, package.control)
    return sizes


def _extract(deb: Path, root: Path) -> int:
    size = 0
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as reader:
        assert reader.stdout is not None
        try:
            with tarfile.open(fileobj=reader.stdout, mode="r|") as tar:
                for member in tar:
                    name = placed(member.name)
                    if name is not None:
                        _extract_member(tar, member, root, root / name)
                        size += member.size
        except tarfile.TarError as error:
            raise ToolError(f"{deb.name}: dpkg-deb gives no intact archive: {error}") from error
    if reader.returncode != 0:
        raise ToolError(f"{deb.name}: dpkg-deb failed with code {reader.returncode}")
    return size


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        path.mkdir(exist_ok=True)
        return
    if path.is_symlink() or path.exists():
        path.unlink()
    if member.issym():
        path.symlink_to(member.linkname)
    elif member.islnk():
        target = placed(member.linkname)
        if target is not None:
            os.link(root / target, path)
    elif member.isreg():
        content = tar.extractfile(member)
        assert content is not None
        with content, path.open("wb") as file:
            shutil.copyfileobj(content, file)
        path.chmod(0o755 if member.mode & 0o111 else 0o644)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
