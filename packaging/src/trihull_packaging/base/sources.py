"""Which of the machine's package sources are the distribution's own archive: pure functions over apt's files.

Others (vendors' repositories) are left out: a base is made of what one archive signs, and a vendor that cannot be
reached must not stop it.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Source:
    """One archive: address, suite (`bookworm-security`), components, and the keyring that must have signed it."""

    uri: str
    suite: str
    components: tuple[str, ...]
    keyring: str | None

    def line(self) -> str:
        """Return the source as a line of `sources.list` (sources.list(5))."""
        options = f"[signed-by={self.keyring}] " if self.keyring else ""
        return f"deb {options}{self.uri} {self.suite} {' '.join(self.components)}"


def parse_list(text: str) -> Iterator[Source]:
    """Yield the `deb` entries of a one-line-style file."""
    for raw in text.splitlines():
        match = re.fullmatch(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<rest>.+)", raw.partition("#")[0].strip())
        if match is None:
            continue
        options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
        words = shlex.split(match["rest"])
        if len(words) >= 3:
            yield Source(words[0], words[1], tuple(words[2:]), options.get("signed-by"))


def parse_deb822(text: str) -> Iterator[Source]:
    """Yield the `deb` entries of a `.sources` file."""
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        field = ""
        for raw in stanza.splitlines():
            if raw.startswith("#") or not raw.strip():
                continue
            if raw[0] in " \t":
                fields[field] = f"{fields.get(field, '')} {raw.strip()}"
            else:
                name, _, value = raw.partition(":")
                field = name.strip().lower()
                fields[field] = value.strip()
        if (
            fields.get("enabled", "yes").lower() in ("no", "false", "off", "0")
            or "deb" not in fields.get("types", "").split()
        ):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield Source(uri, suite, components, fields.get("signed-by") or None)


def own_sources(sources: Iterable[Source], os_release: Mapping[str, str]) -> tuple[Source, ...]:
    """Return the distribution's own archives among `sources`, in one order, with their component `main` only.

    Own is: the suite is the distribution's code name, alone or with `-updates` or `-security`; the address's last
    folder begins with the distribution's name; and no keyring but the distribution's is named for it. Every one is then
    verified with that keyring, so a wrong guess is refused by apt and not trusted.

    Args:
        sources: all of the machine's.
        os_release: `ID` and `VERSION_CODENAME` as /etc/os-release has them.
    """
    name, release = os_release.get("ID", ""), os_release.get("VERSION_CODENAME", "")
    suites = {release, f"{release}-updates", f"{release}-security"} if name and release else set()
    keyring = f"/usr/share/keyrings/{name}-archive-keyring.gpg"
    own = set()
    for source in sources:
        folder = PurePosixPath(urlsplit(source.uri).path).name
        keyring_own = source.keyring is None or PurePosixPath(source.keyring).name.startswith(f"{name}-archive-")
        if source.suite in suites and "main" in source.components and folder.startswith(name) and keyring_own:
            own.add(Source(source.uri, source.suite, ("main",), source.keyring or keyring))
    return tuple(sorted(own, key=Source.line))
