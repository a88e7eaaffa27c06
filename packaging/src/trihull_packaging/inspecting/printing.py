"""Texts that others wrote, made fit for a terminal; sizes and digests in the form that people read."""

from typing import Final

TEXT_MAX: Final = 200


def printable(text: str, most: int = TEXT_MAX) -> str:
    """Return a text of one line without control characters, cut at `most` characters.

    Names in an image are chosen by whoever made it: an escape sequence could rewrite what stands above it on the
    terminal, a newline add a line that looks like ours, a direction mark turn a name around. All of them, and whatever
    else does not print, is written as Python writes it (`\\x1b`, `\\u202e`).
    """
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut)


def printable_lines(text: str) -> str:
    """Return a text of several lines, each without control characters."""
    return "\n".join(printable(line, 2000) for line in text.split("\n"))


def size(size_bytes: int | None, *, signed: bool = False) -> str:
    """Return a size with its unit, in powers of a thousand as registries bill them; `-` when it is not known."""
    if size_bytes is None:
        return "-"
    sign = "+" if signed and size_bytes > 0 else ""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(size_bytes) >= one * 0.9995:
            return f"{sign}{size_bytes / one:.1f} {unit}"
    return f"{sign}{size_bytes} B"


def short(digest: str) -> str:
    """Return the beginning of a digest, enough to tell it from the others of its image."""
    return printable(digest.removeprefix("sha256:")[:12])
