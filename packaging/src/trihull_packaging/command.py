"""`trihull package`: a model goes in, a checked image comes out."""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trihull_packaging.builder import Options
    from trihull_packaging.progress import Progress

Result = tuple[str, dict[str, object]]  # what a person reads, and the same facts for a machine


@click.command("package")
@click.argument("model_dir", required=False, type=click.Path(path_type=Path))
@click.option("--router", is_flag=True, help="Package the router's image instead of a model's.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Where the release goes [default: build/releases/<name>]."
)
@click.option(
    "--base",
    metavar="REFERENCE",
    help="Own base image: oci-layout://PATH@sha256:... or HOST/REPOSITORY@sha256:... (else made from packages).",
)
@click.option("--lock", "make_lock", is_flag=True, help="Resolve model.lock (or the router's lock) anew, and stop.")
@click.option("--locked", is_flag=True, help="Refuse to build without a lock; else a missing one is made.")
@click.option(
    "--check",
    "release",
    type=click.Path(path_type=Path),
    help="Build again from the lock of this release and compare; nothing is written.",
)
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TRIHULL_SIGNING_KEY",
    help="Sign the evidence with this private key (EC P-256, PEM) [env: TRIHULL_SIGNING_KEY].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    model_dir: Path | None,
    router: bool,
    output: Path | None,
    base: str | None,
    make_lock: bool,
    locked: bool,
    release: Path | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Train, convert, check, evaluate and package the model in MODEL_DIR as an OCI image for two architectures.

    Nothing is written to the output unless every check passes.
    """
    _check_usage(model_dir, router, output, make_lock, locked, release)
    from trihull_packaging import builder
    from trihull_packaging.errors import ToolError
    from trihull_packaging.progress import Progress

    options, progress = builder.Options(base, locked, sign=key), Progress()
    try:
        with _ended_by_sigterm():
            if make_lock:
                line, facts = _lock(model_dir, options, progress)
            elif release is not None and model_dir is not None:
                line, facts = _check(model_dir, release, options, progress)
            elif model_dir is not None:
                line, facts = _package_model(model_dir, output, options, progress)
            else:
                line, facts = _package_router(output or Path("build/releases/router"), options, progress)
    except OSError as error:  # a full disk, a folder without rights: what was there before is still there
        raise ToolError(f"{error.filename or 'packaging'}: {error.strerror or error}; nothing was released") from error
    click.echo(json.dumps({**facts, "seconds": progress.seconds}, indent=2) if as_json else line)


def _check_usage(
    model_dir: Path | None, router: bool, output: Path | None, make_lock: bool, locked: bool, release: Path | None
) -> None:
    if router == (model_dir is not None):
        raise click.UsageError("give either a model's folder or --router")
    if make_lock and (locked or output is not None or release is not None):
        raise click.UsageError("--lock makes a lock and no release: it goes with none of --locked, --output, --check")
    if release is not None and (router or output is not None):
        raise click.UsageError("--check compares a model's release and writes nothing: neither --router nor --output")


def _lock(model_dir: Path | None, options: "Options", progress: "Progress") -> Result:
    from trihull_packaging import builder, lock

    if model_dir is None:
        made, place = builder.lock_router(options, progress), "the router's lock"
    else:
        made, place = builder.lock_model(model_dir, options, progress), str(model_dir / lock.FILE)
    return f"{place}: {made.digest()}", {"lock": made.to_value(), "digest": made.digest()}


def _package_model(model_dir: Path, output: Path | None, options: "Options", progress: "Progress") -> Result:
    from trihull_packaging import builder, spec

    target = output or Path("build/releases") / spec.load(model_dir).name
    made = builder.package_model(model_dir, target, options, progress)
    line = f"{target}: {made.model.name} {made.model.version}, release {made.release_digest}"
    return line, {"output": str(target.absolute()), "release": made.to_value()}


def _package_router(target: Path, options: "Options", progress: "Progress") -> Result:
    from trihull_packaging import builder

    image = builder.package_router(target, options, progress)
    facts: dict[str, object] = {
        "output": str(target.absolute()),
        "index_digest": image.index_digest,
        "platforms": list(image.platforms),
        "attestations": [{"predicate_type": one.predicate_type, "digest": one.digest} for one in image.attestations],
    }
    return f"{target}: router, image {image.index_digest}", facts


def _check(model_dir: Path, release: Path, options: "Options", progress: "Progress") -> Result:
    from trihull_packaging import rebuilding

    digest = rebuilding.check(model_dir, release, options, progress)
    return f"{release}: built again, the same image {digest}", {
        "release": str(release.absolute()),
        "index_digest": digest,
    }


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Make SIGTERM end the build as Ctrl-C does: what was started is ended, what was half written is removed."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
