"""What is emulated for real and what is recorded, for every type: the table behind `trihull emulators status`."""

from typing import Final

from trihull_infra.emulators.aws.handlers import HANDLERS
from trihull_infra.emulators.recorder.clouds import CLOUDS
from trihull_infra.emulators.recorder.facts import unversioned
from trihull_infra.emulators.recorder.recording import looked_up

RECORDED: Final = "recorded"
CLUSTERS: Final = {token for cloud in CLOUDS.values() for token in cloud.CLUSTERS}
REGISTRIES: Final = {token for cloud in CLOUDS.values() for token in cloud.REGISTRIES}

STORED: Final = {"kubernetes:apps/v1:DaemonSet"}  # taken in an agent's namespace alone, and told as not run


def emulation(token: str) -> str:
    """Return in a few words how a type is emulated."""
    token = unversioned(token)
    package = token.partition(":")[0]
    if package == "tls":
        return "real: keys and certificates"
    if package == "kubernetes":
        return "real: local cluster" if token not in STORED else "stored: never run"
    parts = []
    if token in HANDLERS:
        parts.append("moto")
    if token in CLUSTERS:
        parts.append("local cluster")
    if token in REGISTRIES:
        parts.append("OCI layout")
    if parts:
        return "real: " + ", ".join(parts)
    if looked_up(token) or package == "azure-native":  # there path and location are known to force one
        return RECORDED
    return f"{RECORDED}; replacements unknown"


def capabilities(tokens: list[str]) -> dict[str, str]:
    """Return how each of these types is emulated."""
    return {token: emulation(token) for token in sorted(set(tokens))}
