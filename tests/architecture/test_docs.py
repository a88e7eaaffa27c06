"""Pages that people find by what they see: messages in the words of the source, links that lead somewhere."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
HOLE = "\0"  # what an f-string puts in


def texts() -> list[str]:
    """Every text of the sources but docstrings: an f-string whole, with holes; of shell scripts each line."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    found = []
    for name in names:
        if re.match(r"(infra|packaging|runtime)/src/.*\.py$", name):
            nodes = list(ast.walk(ast.parse((ROOT / name).read_bytes())))
            alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings
            found += [_text(node) for node in nodes if _is_text(node) and id(node) not in alone]
        elif name.startswith(".ci/"):
            found += [re.sub(r"\$\{?\w+(#[^}]*)?\}?", HOLE, line) for line in (ROOT / name).read_text().splitlines()]
    return list(dict.fromkeys(found))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) if isinstance(value, ast.Constant) else HOLE for value in node.values)
    assert isinstance(node, ast.Constant)
    return str(node.value)


def messages(page: str) -> list[str]:
    """The first column of every table of messages."""
    found = []
    for table in re.findall(r"^\| message \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE):
        for line in table.splitlines():
            match = re.match(r"\| `(.+?)` \|", line)
            assert match is not None, f"no message in {line!r}"
            found.append(match[1])
    return found


def stands_in(message: str, text: str) -> bool:
    """Whether a text has the message's words, and a value wherever the message has `…`."""
    parts = message.split("…")
    return (
        all(part in text for part in parts) and re.search(".+".join(map(re.escape, parts)), text, re.DOTALL) is not None
    )


def test_every_message_of_the_troubleshooting_page_is_one_of_the_source() -> None:
    quoted = messages((ROOT / "docs/troubleshooting.md").read_text())
    assert len(quoted) >= 35
    assert len(quoted) == len(set(quoted))
    sources = texts()
    assert [message for message in quoted if not any(stands_in(message, text) for text in sources)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_a_file_of_the_repository(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []
