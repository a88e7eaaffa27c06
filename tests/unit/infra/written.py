"""Environment files as tests write them, and what is said of those that are refused."""

from pathlib import Path

import pytest
import yaml

from trihull_infra.environment import load
from trihull_infra.errors import SpecError


def write(folder: Path, spec: object, name: str = "local") -> Path:
    (folder / f"{name}.yaml").write_text(spec if isinstance(spec, str) else yaml.safe_dump(spec, sort_keys=False))
    return folder


def refused(folder: Path, spec: object, name: str = "local") -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(name, write(folder, spec, name))
    assert caught.value.exit_code == 65
    return str(caught.value).splitlines()
