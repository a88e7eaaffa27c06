"""Package URLs. Source: purl specification and its types deb, pypi and oci."""

from collections.abc import Mapping
from urllib.parse import quote

from trihull_packaging.contents import Package


def of_package(package: Package, distribution: str, architecture: str) -> str:
    """Return a package's URL; `distribution` and `architecture` count for Debian packages."""
    if package.kind == "deb":
        return deb(package.name, package.version, distribution, architecture)
    return pypi(package.name, package.version)


def deb(name: str, version: str, distribution: str, architecture: str) -> str:
    """Return the URL of a Debian package: `pkg:deb/debian/NAME@VERSION?arch=amd64`."""
    return f"pkg:deb/{distribution}/{_quoted(name)}@{_quoted(version)}{_qualifiers({'arch': architecture})}"


def pypi(name: str, version: str, qualifiers: Mapping[str, str] | None = None) -> str:
    """Return the URL of a Python package, its name lower case with `-` for `_`, as the type asks for."""
    return f"pkg:pypi/{_quoted(name.lower().replace('_', '-'))}@{_quoted(version)}{_qualifiers(qualifiers or {})}"


def oci(name: str, digest: str, qualifiers: Mapping[str, str]) -> str:
    """Return the URL of an image by its digest."""
    return f"pkg:oci/{_quoted(name.lower())}@{quote(digest, safe='')}{_qualifiers(qualifiers)}"


def _quoted(text: str) -> str:
    return quote(text, safe=":")


def _qualifiers(values: Mapping[str, str]) -> str:
    return "".join(f"{'&' if place else '?'}{key}={_quoted(values[key])}" for place, key in enumerate(sorted(values)))
