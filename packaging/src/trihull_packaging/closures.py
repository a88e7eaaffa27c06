"""The closures that go into the images, exported from the workspace's lock: `python -m trihull_packaging.closures`.

`make lock` runs it. They are data of this package: an installed trihull builds the same images without a checkout.
"""

from pathlib import Path
from typing import Final

from trihull_packaging import processes, resolver
from trihull_runtime.contract.codec import write_file

PARTS: Final = ("server", "router")
DATA: Final = Path(__file__).parent / "data"


def closure(workspace: Path, part: str) -> str:
    """Return the hashed requirements of `trihull-runtime[part]` as `uv.lock` of a workspace names them; no network.

    Raises:
        ToolError: there is no `uv.lock`, or uv cannot read it.
    """
    return processes.run(
        [
            resolver.uv_binary(), "export", "--quiet", "--frozen", "--offline", "--package", "trihull-runtime",
            "--extra", part, "--no-dev", "--no-emit-workspace", "--no-header",
        ],
        doing=f"exporting trihull-runtime[{part}] from uv.lock",
        timeout_s=60,
        environment=resolver.clean_environment(),
        cwd=workspace,
    )  # fmt: skip


def main() -> None:
    """Write the closures of the workspace in the current folder."""
    for part in PARTS:
        write_file(DATA / f"{part}-requirements.txt", closure(Path.cwd(), part).encode())


if __name__ == "__main__":
    main()
