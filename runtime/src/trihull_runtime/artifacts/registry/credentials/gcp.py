"""Google Artifact Registry: an access token of the application default credentials is the password.

Source: cloud.google.com/artifact-registry/docs/docker/authentication, "Access token", read 2026-11-24.
"""

import datetime
import re
from typing import Final

from trihull_runtime.artifacts.errors import DeniedError
from trihull_runtime.artifacts.registry.keychain import Credentials, Exchanged

HOST: Final = re.compile(r"[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io")
SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
USER: Final = "oauth2accesstoken"


def knows(host: str) -> bool:
    """Return whether a host is this cloud's, to the letter: an identity goes nowhere else."""
    return HOST.fullmatch(host) is not None


def exchange(host: str) -> Exchanged:
    """Return credentials for a registry.

    Raises:
        DeniedError: google-auth is not installed, there is no identity, or it gets no token.
    """
    try:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
    except ModuleNotFoundError as error:
        advice = "google-auth is missing: install trihull-runtime[gcp]"
        raise DeniedError(f"{host}: is an Artifact Registry, and {advice}") from error
    try:
        identity, _ = google.auth.default(scopes=[SCOPE])
        identity.refresh(Request())  # type: ignore[no-untyped-call]  # google-auth has no types there
    except GoogleAuthError as error:
        raise DeniedError(f"{host}: Google Cloud gives no token for it: {error}") from error
    # google-auth's times are in UTC and do not say so.
    until = identity.expiry.replace(tzinfo=datetime.UTC).timestamp() if identity.expiry is not None else 0.0
    return Exchanged(Credentials(USER, str(identity.token), "application default credentials"), until)
