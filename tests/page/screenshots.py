"""`python -m tests.page.screenshots`: remakes the pictures of the README from the demo that stands (`make demo`).

A drill is run for its report's picture, and a longer one under which the live page of the entry router is watched; so
both pictures show what a newcomer sees. `TRIHULL_HOME` names the demo's home, `build/demo` when it is not set.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests.page.browser import Tab, open_browser
from trihull_infra.deploy import pages
from trihull_infra.emulators import client

ROOT: Final = Path(__file__).parents[2]
IMAGES: Final = ROOT / "docs" / "images"
ENVIRONMENT: Final = "local"
BROKEN: Final = "aws"
TAKING: Final = "gcp"  # next by priority
ENTRY: Final = "azure"  # a drill enters by the first router, by name, of another site
WIDTH: Final = 1200
HEIGHT: Final = 860
SIZE_MAX_BYTES: Final = 200_000
WATCHED: Final = ("--before", "100", "--outage", "15", "--after", "15")  # seconds; the chart shows five minutes
NewTab = Callable[[], AbstractContextManager[Tab]]


def main() -> None:
    """Remake both pictures."""
    os.environ.setdefault("TRIHULL_HOME", str(ROOT / "build" / "demo"))
    found = pages.emulated(client.connect().sites(), [ENTRY])
    if ENTRY not in found:
        sys.exit(f"screenshots: no router runs on {ENTRY}; run `make demo` first")
    with tempfile.TemporaryDirectory(prefix="screenshots.") as scratch, open_browser(Path(scratch)) as new_tab:
        report = Path(scratch) / "report"
        _drill(report).wait()
        picture_report(new_tab, report / "report.html", IMAGES / "drill-report.png")
        picture_page(new_tab, found[ENTRY].url, Path(scratch), IMAGES / "router-page.png")
    for path in (IMAGES / "drill-report.png", IMAGES / "router-page.png"):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def picture_report(new_tab: NewTab, report: Path, target: Path) -> None:
    """Picture the whole report of a drill, light as most readers see it."""
    with new_tab() as tab:
        tab.size(WIDTH, HEIGHT)
        tab.prefer(prefers_color_scheme="light")
        tab.open(report.as_uri())
        tab.wait("footer", "Started")
        tab.size(WIDTH, int(tab.evaluate("document.documentElement.scrollHeight")))
        _save(tab, target)


def picture_page(new_tab: NewTab, url: str, scratch: Path, target: Path) -> None:
    """Picture the live page in the middle of an outage."""
    drill = _drill(scratch / "watched", *WATCHED)
    try:
        with new_tab() as tab:
            tab.size(WIDTH, HEIGHT)
            tab.prefer(prefers_color_scheme="dark")
            tab.open(url)
            tab.wait("#verdict", "3 of 3 sites healthy")
            _watch(tab, drill)
            _save(tab, target)
    finally:
        drill.wait()


def _watch(tab: Tab, drill: "subprocess.Popen[bytes]") -> None:
    """Wait until the broken site is unhealthy and another one has its traffic."""
    broken, taking = (f"document.querySelector('.card[data-site={site}]')" for site in (BROKEN, TAKING))
    while drill.poll() is None:
        tab.evaluate("new Promise((resolve) => setTimeout(resolve, 500))")
        state = tab.evaluate(f"[{broken}.dataset.health, parseFloat({taking}.querySelector('.rates').innerText)]")
        if state[0] == "unhealthy" and (state[1] or 0) > 90:
            return
    sys.exit(f"screenshots: {BROKEN} was never seen unhealthy while {TAKING} had its traffic")


def _drill(report: Path, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", "from trihull_runtime.cli import main; main()", "drill", ENVIRONMENT]
    return subprocess.Popen([*command, "--site", BROKEN, "--report-dir", str(report), *more], cwd=ROOT)


def _save(tab: Tab, target: Path) -> None:
    """Write what is seen, with at most 256 colours where `pngquant` is there."""
    tab.picture(target)
    if (program := shutil.which("pngquant")) is not None:
        subprocess.run([program, "--force", "--strip", "--output", str(target), "256", str(target)], check=True)
    if target.stat().st_size > SIZE_MAX_BYTES:
        sys.exit(f"screenshots: {target} has {target.stat().st_size} bytes; install pngquant (Debian's package)")


if __name__ == "__main__":
    main()
