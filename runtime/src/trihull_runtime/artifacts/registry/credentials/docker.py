"""Docker's and podman's own configuration: `config.json`, `auth.json`, and the helper programs that they name.

Sources: docs.docker.com/reference/cli/docker/login ("Credential stores", "Credential helpers") and
containers-auth.json(5), read 2026-11-24.
"""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from trihull_runtime.artifacts.errors import DeniedError, RegistryError
from trihull_runtime.artifacts.registry.credentials import azure
from trihull_runtime.artifacts.registry.keychain import Credentials

HELPER_TIMEOUT_S: Final = 30
IDENTITY: Final = "<token>"  # the name that helpers give when the secret is a token and no password
NOT_THERE: Final = "credentials not found"


def files() -> Iterator[Path]:
    """Give the files that may hold credentials, the first that has them counts."""
    if chosen := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(chosen)
    docker = os.environ.get("DOCKER_CONFIG")
    yield (Path(docker) if docker else Path.home() / ".docker") / "config.json"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"


def find(host: str) -> Credentials | None:
    """Return what the files have for a host, None when they have nothing.

    Raises:
        DeniedError: a file or a helper has something that is no credentials.
        RegistryError: a helper is missing, fails or does not end.
    """
    for path in files():
        config = _read(path)
        if config is None:
            continue
        for helper in _helpers(config, host):
            found = _ask(helper, host)
            if found is not None:
                return found
        for key, value in _mapping(config.get("auths")).items():
            if _host(key) == host:
                found = _stored(_mapping(value), path, host)
                if found is not None:
                    return found
    return None


def _helpers(config: Mapping[str, Any], host: str) -> Iterator[str]:
    for key, name in _mapping(config.get("credHelpers")).items():
        if _host(key) == host and isinstance(name, str):
            yield name
    if isinstance(config.get("credsStore"), str) and config["credsStore"]:
        yield config["credsStore"]


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DeniedError(f"{path}: cannot be read: {error}") from error
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise DeniedError(f"{path}: is not valid JSON; run `docker login` again, or mend it") from error
    if not isinstance(value, dict):
        raise DeniedError(f"{path}: expected a JSON object; run `docker login` again, or mend it")
    return value


def _host(key: str) -> str:
    """Return the host of an entry's name: docker writes `https://host/v1/`, podman `host/path`."""
    return re.sub(r"^[a-z]+://", "", key).partition("/")[0]


def _stored(entry: Mapping[str, Any], path: Path, host: str) -> Credentials | None:
    if isinstance(entry.get("identitytoken"), str) and entry["identitytoken"]:
        return Credentials(_name(IDENTITY, host), entry["identitytoken"], str(path))
    auth = entry.get("auth")
    if isinstance(auth, str) and auth:
        try:
            username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except ValueError:
            colon, username, password = "", "", ""
        if not colon:
            raise DeniedError(f"{path}: auths.{host}.auth is not Base64 of name:password; run `docker login {host}`")
        return Credentials(username, password.rstrip("\0"), str(path))
    if isinstance(entry.get("username"), str) and isinstance(entry.get("password"), str):
        return Credentials(entry["username"], entry["password"], str(path))
    return None  # `docker login` with a helper leaves an empty entry


def _ask(name: str, host: str) -> Credentials | None:
    program = f"docker-credential-{name}"
    if re.fullmatch(r"[A-Za-z0-9._\-]+", name) is None or shutil.which(program) is None:
        raise RegistryError(f"{host}: docker's configuration names the helper {program!r:.90}, which is not on PATH")
    try:
        done = subprocess.run(
            [program, "get"], input=host, capture_output=True, text=True, timeout=HELPER_TIMEOUT_S, check=False
        )
    except (subprocess.TimeoutExpired, OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"{host}: {program} gave no answer within {HELPER_TIMEOUT_S} s") from error
    if done.returncode != 0:
        said = (done.stdout.strip() or done.stderr.strip())[:200]
        if NOT_THERE in said:
            return None
        raise RegistryError(f"{host}: {program} failed with code {done.returncode}: {said}")
    try:
        value = json.loads(done.stdout)
        username, secret = value["Username"], value["Secret"]
    except (ValueError, KeyError, TypeError) as error:
        raise DeniedError(f"{host}: {program} gave something that is no credentials") from error
    if not isinstance(username, str) or not isinstance(secret, str):
        raise DeniedError(f"{host}: {program} gave something that is no credentials")
    return Credentials(_name(username, host), secret, program) if username or secret else None


def _name(username: str, host: str) -> str:
    """Return the name that goes with an identity's token: Azure has one for it; others are asked with docker's."""
    return azure.USER if username == IDENTITY and azure.knows(host) else username


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
