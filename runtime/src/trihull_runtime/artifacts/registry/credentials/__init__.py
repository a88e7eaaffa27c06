"""Credentials for registries: docker's configuration first, then the cloud whose registry it is."""

from trihull_runtime.artifacts.registry.credentials import docker
from trihull_runtime.artifacts.registry.keychain import Credentials


def find(host: str) -> Credentials | None:
    """Return the credentials for a registry, None when nothing here knows any.

    Raises:
        RegistryError: something knows the registry, and fails.
    """
    return docker.find(host)
