"""What the model's layer of an image holds, read out of its tar: `/models/<name>/manifest.json` and the files it names.

Nothing is unpacked. The layer is the uppermost one of an image; what lies below cannot change what is in it. It holds
nothing else: a link, a whiteout or another spelling of a name could put something else in the place of what was read.
"""

import hashlib
import posixpath
import re
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.blobs import CHUNK_BYTES, DOCUMENT_BYTES
from trihull_runtime.artifacts.registry.unpacking import Uncompressed
from trihull_runtime.contract.errors import ContractError
from trihull_runtime.contract.manifest import MANIFEST_FILE, FileDigest, ModelManifest, release_digest

FOLDER: Final = r"/|/models|/models/[^/]+"
FILE: Final = r"/models/([^/]+)/([^/]+)"


@dataclass(frozen=True)
class Model:
    """A model as its layer holds it: its manifest, and the release digest, which is counted and not believed."""

    manifest: ModelManifest
    release_digest: str

    @property
    def digests(self) -> frozenset[str]:
        """Return the digests of the model's files."""
        return frozenset(file.digest for file in self.manifest.files.values())


def read_model(layer: Path, source: str, diff_id: object) -> Model:
    """Read the model of a layer, and compare every file of it with the manifest.

    Args:
        layer: its file, gzip or plain.
        source: what errors call it.
        diff_id: the digest of the uncompressed layer, as the image's configuration has it.

    Raises:
        LayoutError: no intact layer, no model or several in it, a file that is not what the manifest says, or anything
            that the manifest does not name.
    """
    manifests: dict[str, bytes] = {}
    files: dict[tuple[str, str], FileDigest] = {}
    try:
        with layer.open("rb") as file:
            stream = Uncompressed(file)
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    _take(tar, member, manifests, files, source)
            stream.drain()
    except (tarfile.TarError, zlib.error, EOFError, UnicodeError, OSError) as error:
        raise LayoutError(f"{source}: is no intact layer: {error}") from error
    if stream.digest() != diff_id:
        raise LayoutError(f"{source}: unpacks to {stream.digest()}, but the configuration says {diff_id}")
    if len(manifests) != 1:
        raise LayoutError(f"{source}: holds {len(manifests)} models (/models/<name>/{MANIFEST_FILE}) instead of one")
    ((folder, text),) = manifests.items()
    try:
        manifest = ModelManifest.parse(text, f"{source}: /models/{folder}/{MANIFEST_FILE}")
    except ContractError as error:
        raise LayoutError(str(error)) from error
    if manifest.name != folder:
        raise LayoutError(f"{source}: the model in /models/{folder} calls itself {manifest.name}")
    for name, wanted in manifest.files.items():
        found = files.get((folder, name))
        if found != wanted:
            said = f"has {found.size_bytes} bytes with {found.digest}" if found is not None else "is missing"
            raise LayoutError(f"{source}: /models/{folder}/{name} {said}; the manifest says {wanted.digest}")
    for other, name in files:
        if other != folder or name not in (MANIFEST_FILE, *manifest.files):
            raise LayoutError(f"{source}: holds /models/{other}/{name}, which the manifest does not name")
    return Model(manifest, release_digest(text))


def _take(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    manifests: dict[str, bytes],
    files: dict[tuple[str, str], FileDigest],
    source: str,
) -> None:
    path = posixpath.normpath(f"/{member.name.lstrip('/')}")
    if member.isdir() and re.fullmatch(FOLDER, path):
        return
    content = tar.extractfile(member) if member.isreg() else None
    if content is None:
        raise LayoutError(f"{source}: {path} is no regular file")
    match = re.fullmatch(FILE, path)
    if match is None:
        raise LayoutError(f"{source}: holds {path}, which is no file of a model")
    folder, name = place = (match[1], match[2])
    if place in files:
        raise LayoutError(f"{source}: {path} is there twice")
    if name == MANIFEST_FILE:
        if member.size > DOCUMENT_BYTES:
            raise LayoutError(f"{source}: {path} has {member.size} bytes; it is no manifest")
        manifests[folder] = content.read()
    checksum = hashlib.sha256(manifests[folder] if name == MANIFEST_FILE else b"")
    while chunk := content.read(CHUNK_BYTES):
        checksum.update(chunk)
    files[place] = FileDigest(f"sha256:{checksum.hexdigest()}", member.size)
