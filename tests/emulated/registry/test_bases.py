"""A base from a registry is fetched once, by its digest, and believed only when it is what the digest says."""

from pathlib import Path

import pytest

from tests.emulated import faulty
from tests.emulated.faulty import Fault
from tests.unit.runtime.artifacts.images import file, make_image, symlink
from trihull_packaging.base import given
from trihull_packaging.base.interpreter import Interpreter
from trihull_runtime.artifacts.errors import LayoutError, RegistryError
from trihull_runtime.artifacts.registry import transfer
from trihull_runtime.artifacts.registry.distribution import DistributionRegistry
from trihull_runtime.artifacts.registry.keychain import anonymous
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry

COMPILER = Interpreter((), {}, "3.11", ())


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("trihull_runtime.artifacts.registry.retrying.Retry.wait_s", lambda *_: 0)


@pytest.fixture
def reference(proxy: faulty.Proxy, tmp_path: Path) -> str:
    entries = [file("usr/bin/python3.11"), symlink("usr/bin/python3", "python3.11")]
    digest = make_image(tmp_path / "base", entries, [file("etc/x")])
    target = DistributionRegistry(proxy.host, "bases/python", anonymous)
    transfer.copy(LayoutRegistry(tmp_path / "base"), target, digest)
    return f"{proxy.host}/bases/python@{digest}"


def test_it_is_fetched_once_and_then_needs_no_registry(proxy: faulty.Proxy, reference: str) -> None:
    base = given.given_base(reference, "amd64", Path(), COMPILER)
    assert (base.python_version, len(base.layers), base.origin) == ("3.11", 2, reference)
    proxy.dead = True
    assert given.given_base(reference, "amd64", Path(), COMPILER) == base


@pytest.mark.parametrize("fault", [Fault("GET", "/blobs/", flip=True), Fault("GET", "/manifests/", flip=True)])
def test_one_with_other_content_is_refused_and_not_kept(proxy: faulty.Proxy, reference: str, fault: Fault) -> None:
    proxy.faults.append(fault)
    with pytest.raises(RegistryError):
        given.given_base(reference, "amd64", Path(), COMPILER)
    assert given.given_base(reference, "amd64", Path(), COMPILER).python_version == "3.11"


def test_one_without_the_architecture_says_which_it_has(reference: str) -> None:
    with pytest.raises(LayoutError, match="has no image for linux/arm64, only for linux/amd64"):
        given.check(reference, "arm64", Path())
