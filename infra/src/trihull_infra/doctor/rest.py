"""Plain REST for clouds whose SDKs are heavy for a few questions: JSON, time limits, errors with their codes."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests

from trihull_infra.doctor import findings
from trihull_infra.doctor.seam import CONNECT_S, READ_S


class RestError(Exception):
    """An answer that is none: the status, the cloud's own code (empty when there is none), and what it said."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"HTTP {status} {code}: {message}" if code else f"HTTP {status}: {message}")
        self.status, self.code = status, code


class Rest:
    """One API at one address; `session` adds the credentials."""

    def __init__(self, session: requests.Session, base: str) -> None:
        self._session, self._base = session, base

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Ask for a document; raises RestError, and what requests raises."""
        return self._read(self._session.get(self._base + path, params=parameters, timeout=(CONNECT_S, READ_S)))

    def get_each(self, path: str, name: str, values: list[str]) -> dict[str, Any]:
        """Ask with one parameter that stands several times."""
        pairs = [(name, value) for value in values]
        return self._read(self._session.get(self._base + path, params=pairs, timeout=(CONNECT_S, READ_S)))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a document that asks something; raises RestError, and what requests raises."""
        return self._read(self._session.post(self._base + path, json=body, timeout=(CONNECT_S, READ_S)))

    def pages(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        """Ask for Azure's lists, page by page; a next page at another address would be given our token: refused."""
        page = self.get(path, **parameters)
        while True:
            yield from page.get("value", ())
            following = page.get("nextLink")
            if not following:
                return
            if urlsplit(following)[:2] != urlsplit(self._base)[:2]:
                raise RestError(200, "nextLink", f"leads to another address: {urlsplit(following).netloc}")
            page = self._read(self._session.get(following, timeout=(CONNECT_S, READ_S)))

    def _read(self, answer: requests.Response) -> dict[str, Any]:
        try:
            found = answer.json()
        except (json.JSONDecodeError, requests.exceptions.JSONDecodeError):
            found = None
        if answer.ok and isinstance(found, dict):
            return found
        if answer.ok:
            raise RestError(answer.status_code, "", f"{urlsplit(answer.url).netloc} answers no JSON object")
        error = found.get("error", {}) if isinstance(found, dict) else {}
        if isinstance(error, dict):
            # Google: code is the status, `status` a word, and `details` name a reason; Azure: code is a word.
            reasons = [one.get("reason", "") for one in error.get("details", ()) if isinstance(one, dict)]
            code = next(filter(None, reasons), "") or str(error.get("status") or error.get("code") or "")
            raise RestError(answer.status_code, code, findings.plain(str(error.get("message", answer.reason))))
        raise RestError(answer.status_code, "", findings.plain(str(answer.reason)))
