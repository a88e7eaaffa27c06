"""Brings a configuration to Envoy: judged, written, seen to be taken, or undone."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from trihull_runtime.router.envoy import Configuration
from trihull_runtime.router.errors import EnvoyError
from trihull_runtime.router.files import Files
from trihull_runtime.router.process import EnvoyProcess

PAUSE_S = 0.005
LIMIT_S = 20.0  # Envoy takes a file within some 30 ms; a new cluster also waits for its first health checks


class Applying:
    """Holds what Envoy was told; one change at a time, which the caller sees to."""

    def __init__(self, process: EnvoyProcess) -> None:
        self._process = process
        self._files = Files(process.layout.folder)
        self._in_force: Configuration | None = None

    @property
    def latest(self) -> int:
        """The highest version that was ever written."""
        return self._files.latest

    async def apply(self, configuration: Configuration, version: int) -> bool:
        """Put a configuration into force under a version; returns whether anything differed.

        Raises:
            EnvoyError: Envoy refuses it, or does not take it in time; what was in force is in force again.
            OSError: it cannot be written; likewise, as far as the disk lets us.
        """
        layout, previous = self._process.layout, self._in_force
        if any(not layout.is_endpoints(path) for path in self._files.differing(configuration)):
            # Endpoints are made of values that were checked; everything else is judged by Envoy before it is written.
            await asyncio.to_thread(self._process.validate, configuration.static)
        try:
            changed = await asyncio.to_thread(self._files.write, configuration, version)
            if changed and previous is not None and await asyncio.to_thread(self._process.alive):
                await self._wait(dict.fromkeys(changed, version))
        except (EnvoyError, OSError):
            if previous is not None:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self._files.write, previous, version + 1)
            raise
        await asyncio.to_thread(self._files.remove_others, configuration)
        self._in_force = configuration
        return bool(changed)

    async def confirm(self) -> None:
        """Wait until Envoy has everything that was written. Raises EnvoyError when it refuses or needs too long."""
        await self._wait(self._files.versions)

    async def _wait(self, versions: Mapping[Path, int]) -> None:
        stats = {self._process.layout.version_stat(path): version for path, version in versions.items()}
        expected = {f"{stat}.version_text": f"{version}" for stat, version in stats.items() if stat is not None}
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                found = await asyncio.to_thread(self._process.admin.stats, r"\.version_text$")
            except EnvoyError:  # busy with what it was told, as a rule; the time limit tells
                found = {}
            waiting = [stat for stat, text in expected.items() if found.get(stat) != text]
            if not waiting:
                return
            if time.monotonic() > deadline:
                words = await asyncio.to_thread(self._process.last_words)
                late = ", ".join(sorted(stat.removesuffix(".version_text") for stat in waiting))
                raise EnvoyError(f"Envoy did not take {late} within {LIMIT_S:.0f} s: {words}")
            await asyncio.sleep(PAUSE_S)
