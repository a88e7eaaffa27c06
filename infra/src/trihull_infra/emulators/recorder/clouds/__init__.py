"""What is particular to one cloud: names, ids, computed outputs, functions. The same functions in each file."""

from types import ModuleType

from trihull_infra.emulators.recorder.clouds import aws, azure, gcp

CLOUDS: dict[str, ModuleType] = {"aws": aws, "gcp": gcp, "azure-native": azure}
