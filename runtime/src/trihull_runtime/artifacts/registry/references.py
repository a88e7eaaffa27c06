"""Where an image is kept, as people write it: `HOST/REPOSITORY@sha256:...`, `oci-layout://PATH@sha256:...`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_runtime.artifacts.registry.keychain import Credentials, Keychain
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Registry
from trihull_runtime.contract.codec import DIGEST
from trihull_runtime.errors import UsageError

SCHEME: Final = "oci-layout://"
# OCI distribution specification, "Pulling manifests"; the host must look like one, as docker decides it.
HOST: Final = (
    r"(?P<host>localhost(?=[:/])|[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+|[A-Za-z0-9\-.]+(?=:[0-9])|\[[0-9a-fA-F:]+\])"
)
PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9._\-]{0,127}"
PLACE: Final = re.compile(
    rf"{HOST}(?P<port>:[0-9]{{1,5}})?/(?P<repository>{PART}(?:/{PART})*)(?::(?P<tag>{TAG}))?(?:@(?P<digest>{DIGEST}))?"
)
HUB: Final = "registry-1.docker.io"  # where docker.io's images are: docker.io itself has none
LAYOUT: Final = re.compile(rf"(?P<path>[^@]+?)(?::(?P<tag>{TAG}))?(?:@(?P<digest>{DIGEST}))?")


@dataclass(frozen=True)
class Reference:
    """A place: `repository` is None for a layout, whose folder is `place`; else `place` is the host with its port."""

    place: str
    repository: str | None
    tag: str | None
    digest: str | None

    @property
    def wanted(self) -> str | None:
        """Return what to ask for there: the digest, else the tag."""
        return self.digest or self.tag


@dataclass(frozen=True)
class Opened:
    """A registry, and the digest or the tag that was named in it, if any."""

    registry: Registry
    reference: str | None


def parse(text: str) -> Reference:
    """Read a reference.

    Raises:
        UsageError: it is none; the message says what one looks like.
    """
    if text.startswith(SCHEME):
        match = LAYOUT.fullmatch(text.removeprefix(SCHEME))
        if match is not None:
            return Reference(match["path"], None, match["tag"], match["digest"])
    else:
        match = PLACE.fullmatch(text)
        if match is not None:
            return Reference(
                f"{match['host']}{match['port'] or ''}", match["repository"], match["tag"], match["digest"]
            )
    raise UsageError(
        f"{text!r} is no reference to an image: expected HOST/REPOSITORY[:TAG][@sha256:...], with the host written out"
        " (docker.io too), or oci-layout://PATH[:TAG][@sha256:...]"
    )


def open_registry(text: str, keychain: Keychain | None = None) -> Opened:
    """Return the registry that a reference names; nothing is read yet.

    Args:
        text: the reference.
        keychain: whom to say one is; None for all that `credentials.find` knows.

    Raises:
        UsageError: as of `parse`.
    """
    found = parse(text)
    if found.repository is None:
        return Opened(LayoutRegistry(Path(found.place).expanduser()), found.wanted)
    from trihull_runtime.artifacts.registry.distribution import DistributionRegistry

    host, repository = found.place, found.repository
    if host == "docker.io":
        host, repository = HUB, repository if "/" in repository else f"library/{repository}"
    return Opened(DistributionRegistry(host, repository, keychain or known_credentials), found.wanted)


def known_credentials(host: str) -> Credentials | None:
    """Look credentials up wherever they may be (`credentials`), imported only when a registry asks for some."""
    from trihull_runtime.artifacts.registry import credentials

    return credentials.find(host)
