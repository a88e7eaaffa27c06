"""Files for containers: ConfigMaps, Secrets and empty folders, as a kubelet writes them.

Keys are links to `..data/<key>`, and `..data` is a link to a folder with the content. A change writes a new folder
and swaps the one link by rename, so that a reader sees all of the old content or all of the new. Source: kubernetes
pkg/volume/util/atomic_writer.go describes the layout; this is written from its description.
"""

import base64
import contextlib
import itertools
import shutil
from pathlib import Path

from trihull_infra.emulators.cluster.errors import MissingError
from trihull_infra.emulators.cluster.objects import Object
from trihull_infra.emulators.cluster.spec import Volume

DATA = "..data"


def content(volume: Volume, source: Object | None) -> dict[str, bytes]:
    """Return a volume's files: relative path -> bytes.

    Args:
        volume: a configMap or secret volume.
        source: the live ConfigMap or Secret, None when there is none.

    Raises:
        MissingError: it, or a key that the volume names, is not there and not optional.
    """
    kind = "ConfigMap" if volume.kind == "configMap" else "Secret"
    if source is None:
        if volume.optional:
            return {}
        raise MissingError(f"{kind} {volume.origin!r} for volume {volume.name} not found")
    values = data(source)
    if volume.items is None:
        return values
    result = {}
    for key, path in volume.items:
        if key in values:
            result[path] = values[key]
        elif not volume.optional:
            raise MissingError(f"{kind} {volume.origin!r} for volume {volume.name} has no key {key!r}")
    return result


def data(source: Object) -> dict[str, bytes]:
    """Return the values of a ConfigMap or Secret as bytes."""
    encoded = source.get("data") or {} if source["kind"] == "Secret" else source.get("binaryData") or {}
    result = {str(key): base64.b64decode(value) for key, value in encoded.items()}
    if source["kind"] == "ConfigMap":
        result |= {str(key): str(value).encode() for key, value in (source.get("data") or {}).items()}
    return result


def write(folder: Path, files: dict[str, bytes], mode: int) -> bool:
    """Make `folder` show exactly these files, swapped at once; readers never see a mixture.

    Returns:
        Whether anything changed.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    link = folder / DATA
    old = folder / link.readlink() if link.is_symlink() else None
    if old is not None and old.is_dir() and _read(old) == files:
        return False
    new = next(path for number in itertools.count(1) if not (path := folder / f"..{number}").exists())
    new.mkdir(mode=0o755)
    for name, value in files.items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)
        path.chmod(mode)
    temporary = folder / "..data_next"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(new.name)
    temporary.rename(link)
    tops = {name.split("/")[0] for name in files}
    for top in tops:
        if not (folder / top).is_symlink():
            (folder / top).symlink_to(f"{DATA}/{top}")
    for path in folder.iterdir():
        if not path.name.startswith("..") and path.name not in tops:
            path.unlink()
    if old is not None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(old)
    return True


def _read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
