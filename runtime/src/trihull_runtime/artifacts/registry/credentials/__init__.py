"""Credentials for registries: docker's configuration first, then the cloud whose registry it is.

`docker.py` reads what `docker login` and the helpers keep; `aws.py`, `gcp.py` and `azure.py` exchange the identity that
the process has in that cloud for one at its registry. What a cloud gave is kept in memory until shortly before it ends.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from trihull_runtime.artifacts.registry.credentials import aws, azure, docker, gcp
from trihull_runtime.artifacts.registry.keychain import Credentials, Exchanged

EARLY_S: Final = 300  # a token that ends within this is not used for a transfer that may take as long
CLOUDS: Final = (aws, gcp, azure)


@dataclass
class Finder:
    """Looks credentials up; `now` is seconds since the epoch."""

    now: Callable[[], float] = time.time
    _kept: dict[str, Exchanged] = field(default_factory=dict, repr=False)
    _locks: dict[str, threading.Lock] = field(default_factory=dict, repr=False)

    def find(self, host: str) -> Credentials | None:
        """Return the credentials for a registry, None when nothing here knows any.

        Args:
            host: with its port, if any.

        Raises:
            DeniedError: something knows the registry and has no identity for it.
            RegistryError: it cannot be asked.
        """
        found = docker.find(host)
        if found is not None:
            return found
        for cloud in CLOUDS:
            if cloud.knows(host):
                # Several connections ask at the same time, and one exchange is enough; but a cloud that does not answer
                # holds up no other's. `setdefault` is one step for all threads.
                with self._locks.setdefault(host, threading.Lock()):
                    kept = self._kept.get(host)
                    if kept is None or kept.until <= self.now() + EARLY_S:
                        kept = self._kept[host] = cloud.exchange(host)
                    return kept.credentials
        return None


_finder = Finder()


def find(host: str) -> Credentials | None:
    """Return the credentials for a registry, as `Finder.find` of this process does."""
    return _finder.find(host)
