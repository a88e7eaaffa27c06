"""`trihull inspect`: what is in an image, and what is another between two."""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rich.console import Console

    from trihull_packaging.inspecting.facts import ImageFacts
    from trihull_packaging.inspecting.references import Source
    from trihull_packaging.progress import Progress

WIDTH: Final = 100  # of the output where there is no terminal, in characters


@click.command("inspect")
@click.argument("image", metavar="REF|LAYOUT|RELEASE")
@click.argument("other", required=False, metavar="[OTHER]")
@click.option("--platform", metavar="OS/ARCH", help="Only this platform, as linux/arm64.")
@click.option(
    "--deep/--no-deep",
    default=None,
    help="Read the layers' files: unpacked sizes, packages, shells; of two images which files differ "
    "[default: on disk yes, over the network no].",
)
@click.option("--json", "as_json", is_flag=True, help="Print all facts as JSON.")
def command(image: str, other: str | None, platform: str | None, deep: bool | None, as_json: bool) -> None:
    """Show what is in an image: layers, sizes, largest packages, metrics, evidence. With OTHER, what differs there.

    Each is HOST/REPOSITORY:TAG, HOST/REPOSITORY@sha256:..., oci-layout://PATH[@sha256:...], the folder of a layout, of
    a release or of a router build, or a release.json.
    """
    from trihull_packaging.inspecting import references
    from trihull_packaging.progress import Progress

    progress = Progress()
    with _fit_for_a_terminal():
        sources = [references.open_source(text) for text in (image, other) if text is not None]
        images = [_gathered(source, platform, deep, progress) for source in sources]
        if len(images) == 1:
            _show(images[0], as_json)
        else:
            _compare(sources, images, deep, as_json, progress)
        _refuse_damage(images)


def _gathered(source: "Source", platform: str | None, deep: bool | None, progress: "Progress") -> "ImageFacts":
    from trihull_packaging.inspecting.gathering import Options, gather

    def meter(total_bytes: int) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        return progress.moving(f"reading layers of {source.registry.name}", total_bytes)

    options = Options(platform, source.on_disk if deep is None else deep, meter)
    return gather(source.registry, source.reference, options, source.release)


def _show(image: "ImageFacts", as_json: bool) -> None:
    from trihull_packaging.inspecting import display, facts

    if as_json:
        _print_json(facts.image_value(image))
    else:
        with _console() as console:
            display.show(console, image)


def _compare(
    sources: "list[Source]", images: "list[ImageFacts]", deep: bool | None, as_json: bool, progress: "Progress"
) -> None:
    from trihull_packaging.inspecting import display_difference
    from trihull_packaging.inspecting.difference import difference, difference_value
    from trihull_packaging.inspecting.filewise import with_files

    one, other = images
    found = difference(one, other)
    if deep or (deep is None and all(source.on_disk for source in sources)):
        found = with_files(
            found,
            sources[0].registry,
            sources[1].registry,
            lambda total_bytes: progress.moving("comparing files of changed layers", total_bytes),
        )
    if as_json:
        _print_json(difference_value(one, other, found))
    else:
        with _console() as console:
            display_difference.show(console, one, other, found)


def _refuse_damage(images: "list[ImageFacts]") -> None:
    """Fail after everything was shown when a layer is missing or damaged: a script must not take it for an image."""
    from trihull_runtime.artifacts.errors import LayoutError

    damage = [sentence for image in images for sentence in image.damage]
    if damage:
        raise LayoutError(f"{len(damage)} layers are missing or damaged; the first: {damage[0]}")


def _print_json(value: "dict[str, Any]") -> None:
    click.echo(json.dumps(value, indent=2))  # ASCII only: what does not print in a name is escaped


@contextlib.contextmanager
def _console() -> Iterator["Console"]:
    """Give what the facts are printed on: without a terminal plain lines, without the blanks that fill a table up."""
    from rich.console import Console

    if sys.stdout.isatty():
        yield Console(highlight=False)
        return
    buffer = io.StringIO()
    yield Console(highlight=False, width=WIDTH, color_system=None, force_terminal=False, file=buffer)
    click.echo("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()))


@contextlib.contextmanager
def _fit_for_a_terminal() -> Iterator[None]:
    """Escape what does not print in errors: they quote names that somebody else chose."""
    from trihull_packaging.inspecting.printing import printable_lines
    from trihull_runtime.artifacts.errors import LayoutError, RegistryError
    from trihull_runtime.contract.errors import ContractError
    from trihull_runtime.errors import UsageError

    try:
        yield
    except RegistryError as error:
        raise RegistryError(printable_lines(str(error))) from error
    except UsageError as error:
        raise UsageError(printable_lines(str(error))) from error
    except (LayoutError, ContractError) as error:
        raise LayoutError(printable_lines(str(error))) from error
