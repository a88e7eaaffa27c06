"""Docker's own configuration: `config.json` and the helper programs that it names."""

from trihull_runtime.artifacts.registry.keychain import Credentials


def find(host: str) -> Credentials | None:
    """Return what docker's configuration has for a host."""
    return None
