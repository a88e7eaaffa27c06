"""The SDK packages the recorder reads: where they are installed, their version, and which file holds which type."""

import dataclasses
import functools
import importlib.metadata
import importlib.util
import json
import re
from pathlib import Path
from typing import Final

from trihull_infra.errors import EmulatorError

MODULES: Final = {
    "aws": "pulumi_aws",
    "gcp": "pulumi_gcp",
    "azure-native": "pulumi_azure_native",
    "kubernetes": "pulumi_kubernetes",
    "tls": "pulumi_tls",
}


@dataclasses.dataclass(frozen=True)
class Package:
    """An installed SDK."""

    name: str
    module: str
    version: str
    folder: Path

    @functools.cached_property
    def types(self) -> dict[str, tuple[str, str]]:
        """Type token to (module path, class name), from the registration table every SDK carries in `__init__.py`."""
        text = (self.folder / "__init__.py").read_text(encoding="utf-8")
        match = re.search(r'resource_modules="""(.*?)"""', text, re.DOTALL)
        if match is None:
            raise EmulatorError(f"{self.module} {self.version} has no table of its types; it cannot be emulated")
        return {
            token: (entry["fqn"], name) for entry in json.loads(match[1]) for token, name in entry["classes"].items()
        }

    def file(self, token: str) -> Path | None:
        """Return the file that defines a type; None when this SDK does not know the type."""
        if token not in self.types:
            return None
        dotted, name = self.types[token]
        folder = self.folder.joinpath(*dotted.split(".")[1:])
        likely = [
            folder / f"{snake(name)}.py",
            folder / f"{name}.py",
            folder / f"{snake(token.split(':')[1].rpartition('/')[2])}.py",
        ]
        for path in likely:
            if path.is_file() and _defines(path, name):
                return path
        for path in sorted(folder.glob("*.py")):
            if path.name[0] != "_" and _defines(path, name) and f'"{token}"' in path.read_text(encoding="utf-8"):
                return path
        return None


@functools.cache
def package(name: str) -> Package:
    """Return an installed SDK by its Pulumi name (`aws`, `azure-native`).

    Raises:
        EmulatorError: it is not installed, or not one the emulators know.
    """
    if name not in MODULES:
        raise EmulatorError(f"{name!r} is not emulated; emulated packages: {', '.join(MODULES)}")
    module = MODULES[name]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise EmulatorError(f"the package {module} is not installed; install trihull-infra with the extra of its cloud")
    version = importlib.metadata.version(module.replace("_", "-"))
    return Package(name, module, version, Path(spec.origin).parent)


def snake(name: str) -> str:
    """Return the SDK's file name for a class: `ManagedCluster` -> `managed_cluster`, `OSDiskType` -> `os_disk_type`."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()


def _defines(path: Path, name: str) -> bool:
    return re.search(rf"^class {name}\(pulumi\.CustomResource\)", path.read_text(encoding="utf-8"), re.M) is not None
