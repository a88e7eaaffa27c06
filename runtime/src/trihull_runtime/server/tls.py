"""Mutual TLS for the inference port, re-read when the files change (Secrets and ConfigMaps are rotated in place)."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from trihull_runtime.errors import InputError

FILES: Final = ("tls.crt", "tls.key", "ca.crt")
log = logging.getLogger("trihull.server")


class RotatingContext:
    """A server context whose certificate, key and client CAs follow the files in `folder`.

    `listening` is what the listener holds for ever; in each handshake it hands over to the newest context, so that a
    CA taken out of the bundle is no longer trusted. There are no session tickets: a resumed session would skip that.
    """

    def __init__(self, folder: Path) -> None:
        """Read the files; raises `InputError`."""
        self._folder = folder
        self._stamps = self._look()
        self.listening = self._current = _load(folder)
        self.listening.sni_callback = self._hand_over

    def refresh(self) -> bool:
        """Read the files again when they changed; on an error keep the old ones, say so, and return False."""
        try:
            stamps = self._look()
            if stamps == self._stamps:
                return False
            self._stamps = stamps  # also of files that do not fit: they are tried again once they change again
            self._current = _load(self._folder)
        except InputError as error:
            log.error("TLS files changed but cannot be used, the old ones stay: %s", error)
            return False
        log.info("TLS files read again from %s", self._folder)
        return True

    async def watch(self, interval_s: float) -> None:
        """Look at the files every `interval_s` seconds until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            self.refresh()

    def _hand_over(self, connection: ssl.SSLObject, server_name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _look(self) -> list[tuple[int, int, int]]:
        stamps = []
        for name in FILES:
            try:
                status = (self._folder / name).stat()
            except OSError as error:
                raise InputError(
                    f"{self._folder / name}: cannot be read: {error.strerror or error}; TRIHULL_TLS names a folder with"
                    f" {', '.join(FILES)}"
                ) from error
            stamps.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return stamps


def _load(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key", password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise InputError(f"{folder}: tls.crt and tls.key cannot be used: {_reason(error)}") from error
    try:
        context.load_verify_locations(folder / "ca.crt")
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / 'ca.crt'}: holds no certificates that can be used: {_reason(error)}") from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one without a passphrase")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error)
    return str(getattr(error, "strerror", None) or error)
