"""Images of local clusters: found by digest in an OCI layout on disk, verified, unpacked once for all pods.

References are `oci-layout:///absolute/path@sha256:...`. A tag is refused: what runs must be what the release says.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trihull_infra.emulators.cluster.errors import ImageError
from trihull_runtime.artifacts.registry import layout
from trihull_runtime.contract.errors import TrihullError

REFERENCE = re.compile(r"oci-layout://(?P<path>/[^@]*)@(?P<digest>sha256:[0-9a-f]{64})")
LINKS = 40  # as the kernel: more symbolic links than this is a loop


@dataclass(frozen=True)
class Image:
    """An unpacked image: its root, its configuration's `config` object, and its manifest's digest."""

    root: Path
    config: Mapping[str, Any]
    digest: str


def parse_reference(reference: str) -> tuple[Path, str]:
    """Split an image reference into the layout's path and the digest; raises `ImageError` for any other form."""
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise ImageError(
            f"Image {reference!r}: local clusters run images by digest from a layout on disk only: "
            "oci-layout:///absolute/path@sha256:<64 hex digits>."
        )
    return Path(match["path"]), match["digest"]


class Images:
    """A cache of unpacked images, one folder per digest; shared by clusters, processes and threads."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`; made when first needed."""
        self.folder = folder

    def get(self, reference: str) -> Image:
        """Return an image, unpacked; its blobs are verified before it is unpacked.

        Raises:
            ImageError: not a digest reference, no such image, damaged, or it cannot be unpacked.
        """
        path, digest = parse_reference(reference)
        if not path.is_dir():
            raise ImageError(f"Image {reference}: there is no OCI layout at {path}; publish the release to this site.")
        try:
            image = layout.platform_image(path, digest, layout.host_platform())
            # By the manifest's digest: two indexes that hold the same platform image share one folder.
            folder = self.folder / image.digest.replace(":", "-")
            root = folder / "root"
            with self.locked(folder):
                if not root.is_dir():
                    layout.unpack(image, root)
        except TrihullError as error:
            raise ImageError(f"Image {reference}: {error}") from error
        except OSError as error:
            raise ImageError(f"Image {reference} cannot be unpacked into {self.folder}: {error}") from error
        config = image.config.get("config") or {}
        if not isinstance(config, Mapping):
            raise ImageError(f"Image {reference}: its configuration has no config object.")
        return Image(root, config, image.digest)

    @contextlib.contextmanager
    def locked(self, folder: Path) -> Iterator[None]:
        """Hold one image's folder for this thread alone, across processes."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def command(config: Mapping[str, Any], wanted: tuple[str, ...] | None, args: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return what to execute, as Kubernetes decides it: `command` replaces both of the image's, `args` its Cmd.

    Raises:
        ImageError: neither the pod nor the image says what to execute.
    """
    if wanted is not None:
        result = wanted + (args or ())
    else:
        cmd = args if args is not None else tuple(config.get("Cmd") or ())
        result = tuple(config.get("Entrypoint") or ()) + cmd
    if not result:
        raise ImageError("The image has no Entrypoint and no Cmd, and the container names no command.")
    return result


def environment(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the image's own environment."""
    return dict(entry.split("=", 1) for entry in config.get("Env") or () if "=" in entry)


def resolve(root: Path, path: str) -> Path:
    """Find where `path` inside `root` is on this machine, following links as a process inside would; it need not exist.

    Raises:
        ImageError: the links lead in a circle.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    here, links = root, 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            here = here.parent if here != root else root
            continue
        step = here / part
        if step.is_symlink():
            links += 1
            if links > LINKS:
                raise ImageError(f"{path} in {root}: too many symbolic links.")
            target = str(step.readlink())
            parts = [piece for piece in target.split("/") if piece not in ("", ".")] + parts
            if target.startswith("/"):
                here = root
        else:
            here = step
    return here
