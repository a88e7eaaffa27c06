"""`trihull package`: a model goes in, a checked image comes out."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trihull_packaging.builder import RouterImage
    from trihull_runtime.contract import Release


@click.command("package")
@click.argument("model_dir", required=False, type=click.Path(path_type=Path))
@click.option("--router", is_flag=True, help="Package the router's image instead of a model's.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Where the release goes [default: build/releases/<name>]."
)
@click.option(
    "--base", metavar="REFERENCE", help="Own base image: oci-layout://PATH@sha256:... (else made from packages)."
)
@click.option("--refresh-base", is_flag=True, help="Ask the package archive for newer versions of the base's packages.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    model_dir: Path | None, router: bool, output: Path | None, base: str | None, refresh_base: bool, as_json: bool
) -> None:
    """Train, convert, check, evaluate and package the model in MODEL_DIR as an OCI image.

    Nothing is written to the output unless every check passes.
    """
    if router == (model_dir is not None):
        raise click.UsageError("give either a model's folder or --router")
    import json

    from trihull_packaging import builder, spec
    from trihull_packaging.errors import ToolError
    from trihull_packaging.progress import Progress

    options, progress = builder.Options(base, refresh_base), Progress()
    try:
        with _ended_by_sigterm():
            if model_dir is None:
                target = output or Path("build/releases/router")
                image = builder.package_router(target, options, progress)
                facts = router_facts(image, target, progress.seconds)
                line = f"{target}: router, image {image.index_digest}"
            else:
                target = output or Path("build/releases") / spec.load(model_dir).name
                release = builder.package_model(model_dir, target, options, progress)
                facts = release_facts(release, target, progress.seconds)
                line = f"{target}: {release.model.name} {release.model.version}, release {release.release_digest}"
    except OSError as error:  # a full disk, a folder without rights: what was there before is still there
        raise ToolError(f"{error.filename or 'packaging'}: {error.strerror or error}; nothing was released") from error
    click.echo(json.dumps(facts, indent=2) if as_json else line)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Make SIGTERM end the build as Ctrl-C does: what was started is ended, what was half written is removed."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def release_facts(release: "Release", target: Path, seconds: dict[str, float]) -> dict[str, object]:
    """Return what `--json` says of a model: where it lies, the release, and each step's time in seconds."""
    return {"output": str(target.absolute()), "release": release.to_value(), "seconds": seconds}


def router_facts(image: "RouterImage", target: Path, seconds: dict[str, float]) -> dict[str, object]:
    """Return what `--json` says of the router's image."""
    return {
        "output": str(target.absolute()),
        "index_digest": image.index_digest,
        "platforms": list(image.platforms),
        "seconds": seconds,
    }
