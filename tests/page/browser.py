"""A real headless Chromium, driven over its DevTools protocol; what it asks of the network and its complaints are kept.

Source: chromedevtools.github.io/devtools-protocol (domains Page, Runtime, Network, Log, Emulation).
"""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.failover.load import eventually
from tests.failover.rig import ask

START_S = 40.0
# Chromium is kept from talking to its maker; the tests watch the page's own requests.
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


class Tab:
    """One tab. `requested` holds the addresses it asked for, `complaints` its console's errors and warnings."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requested: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Give one command and return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("id") == number:
                assert "error" not in message, (method, message)
                return message["result"]
            self._note(message.get("method", ""), message.get("params", {}))

    def _note(self, event: str, facts: dict[str, Any]) -> None:
        match event:
            case "Network.requestWillBeSent":
                self.requested.append(facts["request"]["url"])
            case "Log.entryAdded" if facts["entry"]["level"] in ("error", "warning"):
                entry = facts["entry"]
                self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(facts["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if facts["type"] in ("error", "warning", "assert"):
                self.complaints.append(json.dumps(facts["args"]))

    def open(self, url: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=url)

    def size(self, width: int, height: int) -> None:
        """Set the window's size in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, **features: str) -> None:
        """Set media features by name, with `_` for `-`: prefer(prefers_color_scheme="light")."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=listed)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def text(self, selector: str) -> str:
        """Return what a reader sees of the first element that a CSS selector finds; empty when there is none."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """Click in the middle of an element, as a mouse does."""
        place = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key; `code` is its Windows virtual key code, `text` what it types."""
        facts = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **facts)
        self.call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def choose(self, selector: str, value: str) -> None:
        """Choose a value of a select."""
        self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(value)};"
            " e.dispatchEvent(new Event('change')); })()"
        )

    def wait(self, selector: str, holds: Callable[[str], bool] | str) -> str:
        """Wait until an element's text holds (or contains a text); returns it."""
        check = (lambda shown: holds in shown) if isinstance(holds, str) else holds

        def what() -> str:
            return f"{selector} with {holds!r}; it is {self.text(selector)!r}; complaints: {self.complaints}"

        eventually(lambda: check(self.text(selector)), what)
        return self.text(selector)

    def picture(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextlib.contextmanager
def open_browser(folder: Path) -> Iterator[Callable[[], contextlib.AbstractContextManager[Tab]]]:
    """Run Chromium with an empty profile until the block ends; what it gives opens a tab."""
    program = shutil.which("chromium")
    assert program is not None, "chromium is missing; `sh .ci/browser-tools` as root installs it"
    profile = folder / "profile"
    root = ["--no-sandbox"] if os.getuid() == 0 else []  # Chromium refuses its sandbox to root
    command = [program, *FLAGS, *root, f"--user-data-dir={profile}", "about:blank"]
    with (folder / "chromium.log").open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield lambda: _tab(_port(process, profile, folder / "chromium.log"))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: "subprocess.Popen[bytes]", profile: Path, log: Path) -> int:
    """Return the port of its DevTools once it says it (DevToolsActivePort: the port, then a path)."""
    said = profile / "DevToolsActivePort"
    deadline = time.monotonic() + START_S
    while not said.exists() or not said.read_text().strip():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return int(said.read_text().splitlines()[0])


@contextlib.contextmanager
def _tab(port: int) -> Iterator[Tab]:
    status, _, body = ask(f"http://127.0.0.1:{port}/json/new?about:blank", "PUT")
    assert status == 200, body
    found = json.loads(body)
    with connect(found["webSocketDebuggerUrl"], max_size=64 << 20, proxy=None) as socket:
        yield Tab(socket)
    ask(f"http://127.0.0.1:{port}/json/close/{found['id']}")
