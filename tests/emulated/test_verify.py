"""`trihull verify` against a real registry, whose storage somebody tampers with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests import released
from tests.emulated import registries
from tests.emulated.registries import Server
from tests.released import Made
from trihull_packaging.verifying.command import command
from trihull_runtime.artifacts.errors import EvidenceError, RegistryError
from trihull_runtime.artifacts.registry import transfer
from trihull_runtime.artifacts.registry.distribution import DistributionRegistry
from trihull_runtime.artifacts.registry.keychain import anonymous


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return released.make(tmp_path / "release", released.signing_key(tmp_path))


@pytest.fixture
def server(tmp_path: Path, made: Made) -> Iterator[Server]:
    """A registry that holds the release as `digits:v1`, evidence included."""
    with registries.running(tmp_path / "registry") as started:
        target = DistributionRegistry(started.host, "digits", anonymous)
        transfer.copy(made.registry, target, made.digest, tag="v1")
        yield started


def verify(server: Server, tmp_path: Path, key: int = 1, tag: str = "v1") -> Result:
    released.signing_key(tmp_path, key)
    return CliRunner().invoke(command, [f"{server.host}/digits:{tag}", "--key", str(tmp_path / f"key{key}.pub")])


def stored(tmp_path: Path, digest: str) -> Path:
    """Return where the registry keeps a blob or a manifest."""
    name = digest.removeprefix("sha256:")
    return tmp_path / "registry/data/docker/registry/v2/blobs/sha256" / name[:2] / name / "data"


def test_what_was_pushed_holds_there(server: Server, made: Made, tmp_path: Path) -> None:
    result = verify(server, tmp_path)
    assert result.exception is None, result.output
    assert f"ok      signature   by {tmp_path / 'key1.pub'} over {made.digest}" in result.output


def test_another_key_is_a_broken_link(server: Server, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="signature does not hold: it is signed by another key"):
        raise verify(server, tmp_path, key=2).exception or AssertionError("it held")


@pytest.mark.parametrize("which", ["layer", "gate"])
def test_what_is_changed_or_lost_in_the_registry_is_a_broken_link(
    server: Server, made: Made, tmp_path: Path, which: str
) -> None:
    image = transfer.describe(made.registry, made.digest)
    gate = transfer.describe(made.registry, made.release.attestations[3].digest)
    path = stored(tmp_path, (image if which == "layer" else gate).blobs[1].digest)
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    result = verify(server, tmp_path)
    assert isinstance(result.exception, EvidenceError), result.output
    assert f"BROKEN  {'digest' if which == 'layer' else 'gate'}" in result.output


def test_a_tag_that_is_not_there_is_no_broken_link(server: Server, tmp_path: Path) -> None:
    result = verify(server, tmp_path, tag="v2")
    assert isinstance(result.exception, RegistryError)
    assert result.output == ""
