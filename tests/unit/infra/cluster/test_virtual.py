import platform
import sys
from pathlib import Path

import pytest

from tests.unit.infra.cluster import layouts
from trihull_infra.emulators.cluster.errors import ImageError
from trihull_infra.emulators.cluster.images import Images
from trihull_infra.emulators.cluster.runner import Bind, Container
from trihull_infra.emulators.cluster.virtual import VirtualRunner

CONFIG = {
    "Env": ["PYTHONPATH=/opt/trihull/runtime:/opt/trihull/dependencies", "PATH=/usr/bin", "LANG=C.UTF-8"],
    "Entrypoint": ["/usr/bin/python3", "-m", "trihull_runtime.server"],
}
FILES = {"opt/trihull/runtime/code.py": b"", "opt/trihull/dependencies/x.py": b"", "models/digits/manifest.json": b"{}"}


def test_paths_of_the_container_become_paths_of_this_machine(tmp_path: Path) -> None:
    reference = layouts.make(tmp_path / "registry", FILES, CONFIG)
    cache = Images(tmp_path / "images")
    root = cache.get(reference).root
    environment = root.parent / f"venv-{platform.python_version()}-{sys.platform}-{platform.machine()}"
    environment.mkdir()  # as if made before
    binds = (Bind(tmp_path / "tls", "/etc/trihull/tls", True), Bind(tmp_path / "tmp", "/tmp", False))
    variables = {"TRIHULL_TLS": "/etc/trihull/tls", "OTHER": "/no/such/place", "TRIHULL_PORT_INFER": "20000"}
    plan = VirtualRunner(cache).plan(Container(reference, None, None, None, variables, binds))
    assert plan.root is None
    assert plan.argv == (str(environment / "bin" / "python"), "-m", "trihull_runtime.server")
    assert plan.env["PYTHONPATH"] == str(root / "opt/trihull/runtime")
    assert plan.env["TRIHULL_MODELS"] == str(root / "models")
    assert plan.env["TRIHULL_TLS"] == str(tmp_path / "tls")
    assert (plan.env["OTHER"], plan.env["TRIHULL_PORT_INFER"]) == ("/no/such/place", "20000")


def test_an_image_without_requirements_cannot_be_run_without_namespaces(tmp_path: Path) -> None:
    reference = layouts.make(tmp_path / "registry", FILES, CONFIG)
    with pytest.raises(ImageError, match=r"has no /opt/trihull/requirements\.txt"):
        VirtualRunner(Images(tmp_path / "images")).plan(Container(reference, None, None, None, {}, ()))
