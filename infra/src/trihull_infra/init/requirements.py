"""Where a project installs trihull from: wheels that lie in the project, a git commit, or a package index.

trihull's own packages are named by file or by commit where that is possible, and not looked up: then nobody can get
between by registering their names on an index that pip asks (dependency confusion).
"""

import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from trihull_runtime.errors import UsageError

# The runtime first: pip below 23.3 looks a dependency's name up unless the file or commit of that name came before.
EXTRAS: Final[Mapping[str, str]] = {
    "trihull-runtime": "[server,router,artifacts,aws,gcp,azure,cli]",
    "trihull-packaging": "",
    "trihull-infra": "[aws,gcp,azure,emulators]",
}
# The folder of a project that holds wheels. Not `wheels/` and not `dist/`: common .gitignore templates leave those out.
VENDOR: Final = "vendor"
CONSTRAINTS: Final = "constraints.txt"  # of `make dist`: the locked versions of everything else


@dataclass(frozen=True)
class Requirements:
    """Lines of requirements.txt, files that the lines name (copied into VENDOR), and what to tell the user.

    `version` is that of trihull-infra.
    """

    version: str
    lines: tuple[str, ...]
    files: tuple[Path, ...]
    note: str


def of_installation(wheels: Path | None) -> Requirements:
    """Return requirements that install the trihull that runs here once more.

    Args:
        wheels: a folder of wheels such as `make dist` makes; None for the place that the packages were installed from,
            which the installer recorded when that was wheel files or git (PEP 610).

    Raises:
        UsageError: a distribution is not installed, or `wheels` has no wheel of it in the installed version.
    """
    versions = {name: _version(name) for name in EXTRAS}
    if wheels is not None:
        return _from_wheels(wheels, versions)
    origins = {name: json.loads(metadata.distribution(name).read_text("direct_url.json") or "{}") for name in EXTRAS}
    folders = {_folder_of_wheel(origin) for origin in origins.values()}
    if len(folders) == 1 and (folder := folders.pop()) is not None:
        return _from_wheels(folder, versions)
    if all(origin.get("vcs_info", {}).get("vcs") == "git" for origin in origins.values()):
        return _from_git(origins, versions)
    return _from_index(versions)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError as error:
        raise UsageError(f"{name} is not installed, and a project needs it: install it beside this one") from error


def _from_wheels(folder: Path, versions: Mapping[str, str]) -> Requirements:
    names = {name: f"{name.replace('-', '_')}-{version}-py3-none-any.whl" for name, version in versions.items()}
    missing = [file for file in names.values() if not (folder / file).is_file()]
    if missing:
        raise UsageError(
            f"{folder}: expected the wheels of the trihull that runs here, and {', '.join(missing)} is not there: "
            "`make dist` in trihull's repository makes them in dist/"
        )
    constraints = [folder / CONSTRAINTS] if (folder / CONSTRAINTS).is_file() else []
    return Requirements(
        version=versions["trihull-infra"],
        lines=(
            f"# Wheels in {VENDOR}/: commit them. Paths count from the folder that pip runs in, which is this one.",
            *(f"--constraint {VENDOR}/{path.name}" for path in constraints),
            *(f"./{VENDOR}/{file}{EXTRAS[name]}" for name, file in names.items()),
        ),
        files=(*(folder / file for file in names.values()), *constraints),
        note=f"requirements.txt installs the wheels in {VENDOR}/, which came from {folder}; commit them",
    )


def _folder_of_wheel(origin: Mapping[str, object]) -> Path | None:
    url = urllib.parse.urlsplit(str(origin.get("url", "")))
    if url.scheme != "file" or not url.path.endswith(".whl"):
        return None
    path = Path(urllib.request.url2pathname(url.path))
    return path.parent if path.is_file() else None


def _from_git(origins: Mapping[str, Mapping[str, object]], versions: Mapping[str, str]) -> Requirements:
    lines = []
    for name, origin in origins.items():
        vcs = origin["vcs_info"]
        commit = vcs["commit_id"] if isinstance(vcs, Mapping) else ""
        folder = f"#subdirectory={origin['subdirectory']}" if "subdirectory" in origin else ""
        lines.append(f"{name}{EXTRAS[name]} @ git+{origin['url']}@{commit}{folder}")
    return Requirements(
        version=versions["trihull-infra"],
        lines=("# The commit that wrote this project. CI needs a right to read that repository.", *lines),
        files=(),
        note="requirements.txt installs the git commit that runs here; CI needs a right to read that repository",
    )


def _from_index(versions: Mapping[str, str]) -> Requirements:
    return Requirements(
        version=versions["trihull-infra"],
        lines=(
            "# From a package index that has them (PIP_INDEX_URL names yours): trihull is not published yet.",
            *(f"{name}{EXTRAS[name]}=={version}" for name, version in versions.items()),
        ),
        files=(),
        note=(
            "requirements.txt looks trihull up on a package index, where it is not published yet: name an index that "
            "has it by PIP_INDEX_URL, or make the project with --wheels FOLDER (`make dist` in trihull's repository "
            "fills one)"
        ),
    )
