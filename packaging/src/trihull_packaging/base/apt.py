"""apt without root: packages resolved, downloaded and verified in private folders, nothing of the machine's changed.

The machine's hooks and caches are kept out (`Dir` is ours before any file of /etc/apt is read); how to reach the
archive (proxy, certificates) is taken over. A file is used only when its SHA-256 is the one of the signed index.
"""

import os
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_packaging import processes
from trihull_packaging.base.sources import Source, own_sources, parse_deb822, parse_list
from trihull_packaging.errors import ToolError
from trihull_runtime.artifacts.registry.blobs import file_digest

TOOLS: Final = ("apt-get", "apt-cache", "apt-config", "dpkg-deb")
TIMEOUT_S: Final = 180
REACHING: Final = re.compile(r'Acquire::(http|https|ForceIPv|Retries|Check-)[^"]* "[^"]*";')
CONFIGURATION: Final = """\
Dir "{folder}";
Dir::State "state";
Dir::State::status "{folder}/state/status";
Dir::State::lists "state/lists";
Dir::Cache "cache";
Dir::Etc "etc";
Dir::Etc::sourcelist "{folder}/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Dir::Bin::Methods "/usr/lib/apt/methods";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
APT::Get::AllowUnauthenticated "false";
Debug::NoLocking "true";
Acquire::Languages "none";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
{reaching}
"""


@dataclass(frozen=True)
class Package:
    """One package as the signed index names it; `control` is its paragraph there."""

    name: str
    version: str
    sha256: str
    control: str


def machine_sources() -> tuple[Source, ...]:
    """Return the machine's sources that are its distribution's own archive.

    Raises:
        ToolError: no apt here, or no such source; the message says what to use instead.
    """
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    instead = "give a base of your own with --base oci-layout://PATH@sha256:..."
    if missing:
        raise ToolError(f"the base image is made from Debian packages, but {missing[0]} is not installed: {instead}")
    found: list[Source] = []
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if path.is_file() and path.suffix in (".list", ".sources"):
            text = path.read_text(encoding="utf-8", errors="replace")
            found.extend(parse_list(text) if path.suffix == ".list" else parse_deb822(text))
    own = own_sources(found, platform.freedesktop_os_release())
    if not own:
        raise ToolError(
            f"no entry of /etc/apt is the distribution's own archive, which the base is made from: {instead}"
        )
    return own


class Apt:
    """apt in a folder of its own."""

    def __init__(self, folder: Path, sources: tuple[Source, ...], architecture: str) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "debs"):
            (folder / name).mkdir(parents=True)
        (folder / "state/status").touch()
        self._folder = folder
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("APT_")}
        self._environment["LC_ALL"] = "C"
        machine = self._run("apt-config", "dump", doing="reading apt's settings", timeout_s=20)
        text = CONFIGURATION.format(
            folder=folder,
            architecture=architecture,
            reaching="\n".join(line for line in machine.splitlines() if REACHING.fullmatch(line)),
        )
        (folder / "apt.conf").write_text(text, encoding="utf-8")
        (folder / "etc/sources.list").write_text("".join(f"{source.line()}\n" for source in sources), encoding="utf-8")
        self._environment["APT_CONFIG"] = str(folder / "apt.conf")

    def update(self) -> None:
        """Fetch the signed indexes; any that cannot be fetched or verified is an error."""
        self._run(
            "apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update",
            doing="fetching the distribution's package lists", timeout_s=TIMEOUT_S,
        )  # fmt: skip

    def resolve(self, wanted: tuple[str, ...]) -> tuple[Package, ...]:
        """Return `wanted` and all that they depend on, by name, from an empty machine."""
        output = self._run(
            "apt-get", "-qq", "-y", "--no-install-recommends", "--simulate", "install", *wanted,
            doing="resolving the base's packages", timeout_s=60,
        )  # fmt: skip
        chosen = sorted(re.findall(r"^Inst (\S+) \((\S+) ", output, re.MULTILINE))
        if not chosen:
            raise ToolError("resolving the base's packages: apt-get named none; run `trihull package --debug`")
        known = {(package.name, package.version): package for package in self.show(chosen)}
        for name, version in chosen:
            if (name, version) not in known:
                raise ToolError(
                    f"the package index has no SHA-256 for {name} {version}; run `apt-get update` and try again"
                )
        return tuple(known[entry] for entry in chosen)

    def show(self, wanted: Sequence[tuple[str, str]]) -> tuple[Package, ...]:
        """Return those of the packages (name, version) that the signed index has."""
        names = sorted({name for name, _ in wanted})
        shown = self._run("apt-cache", "show", *names, doing="reading the packages' checksums", timeout_s=60)
        result = []
        for paragraph in shown.split("\n\n"):
            fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", paragraph, re.MULTILINE))
            entry = (fields.get("Package", ""), fields.get("Version", ""))
            if entry in wanted and "SHA256" in fields:
                result.append(Package(*entry, fields["SHA256"], paragraph.strip() + "\n"))
        return tuple(result)

    def download(self, packages: tuple[Package, ...]) -> dict[str, Path]:
        """Return name -> verified file of every package."""
        folder = self._folder / "debs"
        self._run(
            "apt-get", "-qq", "download", *(f"{package.name}={package.version}" for package in packages),
            doing="downloading the base's packages", timeout_s=TIMEOUT_S, cwd=folder,
        )  # fmt: skip
        by_digest = {file_digest(path): path for path in folder.glob("*.deb")}
        result = {}
        for package in packages:
            path = by_digest.get(f"sha256:{package.sha256}")
            if path is None:
                raise ToolError(
                    f"{package.name} {package.version}: no downloaded file has the index's SHA-256; try again"
                )
            result[package.name] = path
        return result

    def _run(self, *arguments: str, doing: str, timeout_s: float, cwd: Path | None = None) -> str:
        environment, folder = self._environment, cwd or self._folder
        return processes.run(arguments, doing=doing, timeout_s=timeout_s, environment=environment, cwd=folder)
