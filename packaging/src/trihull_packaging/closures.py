"""The closures that go into the images, exported from the workspace's lock: `python -m trihull_packaging.closures`.

`make lock` runs it. They are data of this package: an installed trihull builds the same images without a checkout.
"""

from pathlib import Path
from typing import Final, Literal, get_args

from trihull_packaging import processes, resolver
from trihull_runtime.contract.codec import write_file

Part = Literal["server", "router"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
DATA: Final = Path(__file__).parent / "data"


def read(part: Part) -> str:
    """Return the hashed requirements of `trihull-runtime[part]`, with markers for every Python and machine."""
    return (DATA / f"{part}-requirements.txt").read_text(encoding="utf-8")


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
