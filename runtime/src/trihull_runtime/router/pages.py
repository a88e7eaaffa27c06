"""What the admin API serves as it lies here: the live page, its parts and the API's description. No file is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

# The page may load from and talk to its own origin only, and no other page may frame it: its buttons drain sites.
# Sources: W3C Content Security Policy Level 3; Fetch standard, "x-content-type-options".
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}


@dataclass(frozen=True)
class Page:
    """One file that is served, and its content type."""

    body: bytes
    content_type: str


def load_pages() -> Mapping[str, Page]:
    """Return what is served, by path without the leading slash; the page itself is at the empty path.

    Raises:
        FileNotFoundError: the package was installed without its files.
    """
    package = resources.files("trihull_runtime.router")
    files = [entry for entry in package.joinpath("page").iterdir() if entry.is_file()]
    found = {
        entry.name: Page(entry.read_bytes(), _TYPES[entry.name.rpartition(".")[2]])
        for entry in [*files, package.joinpath("openapi.json")]
    }
    found[""] = found.pop("index.html")
    return found
