"""Docker's and podman's own configuration: `config.json`, `auth.json`, and the helper programs that they name.

Sources: docs.docker.com/reference/cli/docker/login ("Credential stores", "Credential helpers"), the README of
docker/docker-credential-helpers (what a helper reads and writes, and what it says of a host that it does not know), and
containers-auth.json(5) (podman's files; keys with a namespace), read 2026-11-24.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from trihull_runtime import signals
from trihull_runtime.artifacts.errors import DeniedError, RegistryError
from trihull_runtime.artifacts.registry.credentials import azure
from trihull_runtime.artifacts.registry.keychain import Credentials

HELPER_TIMEOUT_S: Final = 30
IDENTITY: Final = "<token>"  # the name that helpers give when the secret is a token and no password
NOT_THERE: Final = "credentials not found"
SHOWN_CHARACTERS: Final = 200
HUB: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})  # one registry, three names
HUB_KEY: Final = "https://index.docker.io/v1/"  # what `docker login` calls it, in files and to helpers


def files() -> Iterator[Path]:
    """Give the files that may hold credentials, the first that has them counts."""
    if chosen := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(chosen)
    home = _home()
    if docker := os.environ.get("DOCKER_CONFIG"):
        yield Path(docker) / "config.json"
    elif home is not None:
        yield home / ".docker" / "config.json"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    if configuration := os.environ.get("XDG_CONFIG_HOME"):
        yield Path(configuration) / "containers" / "auth.json"
    elif home is not None:
        yield home / ".config" / "containers" / "auth.json"


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
        for entry in _entries(_mapping(config.get("auths")), host):
            found = _stored(_mapping(entry), path, host)
            if found is not None:
                return found
    return None


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # a container's user without an entry in /etc/passwd has none
        return None


def _helpers(config: Mapping[str, Any], host: str) -> Iterator[str]:
    for name in _entries(_mapping(config.get("credHelpers")), host):
        if isinstance(name, str):
            yield name
    if isinstance(config.get("credsStore"), str) and config["credsStore"]:
        yield config["credsStore"]


def _entries(values: Mapping[str, Any], host: str) -> list[Any]:
    """Return what stands under a host's names; under the host itself first, under a part of it (podman's) last."""
    wanted = HUB if host in HUB else {host}
    found = []
    for key, value in values.items():
        name, _, path = re.sub(r"^[a-z]+://", "", key).partition("/")
        if name in wanted:  # docker writes `https://host/v1/`, podman `host/namespace`
            found.append((path.strip("/") not in ("", "v1", "v2"), value))
    return [value for _, value in sorted(found, key=lambda entry: entry[0])]


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
    code, output, complaint = _run(program, host)
    if code != 0:
        said = output.strip() or complaint.strip()  # helpers tell their errors on standard output
        if NOT_THERE in said:
            return None
        raise RegistryError(f"{host}: {program} failed with code {code}: {_printable(said)}")
    try:
        value = json.loads(output)
        username, secret = value["Username"], value["Secret"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DeniedError(f"{host}: {program} gave something that is no credentials") from error
    if not isinstance(username, str) or not isinstance(secret, str):
        raise DeniedError(f"{host}: {program} gave something that is no credentials")
    return Credentials(_name(username, host), secret, program) if username or secret else None


def _run(program: str, host: str) -> tuple[int, str, str]:
    """Run a helper, and end it with all that it started when it takes too long."""
    asked = HUB_KEY if host in HUB else host
    pipe = subprocess.PIPE
    with contextlib.ExitStack() as stack:
        try:
            with signals.delayed():
                process = subprocess.Popen([program, "get"], stdin=pipe, stdout=pipe, stderr=pipe, process_group=0)
                stack.enter_context(process)
                stack.callback(_end, process)
        except OSError as error:
            raise RegistryError(f"{host}: {program} cannot be run: {error.strerror or error}") from error
        try:
            output, complaint = process.communicate(asked.encode(), timeout=HELPER_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            advice = f"run `echo {asked} | {program} get` to see what it waits for"
            raise RegistryError(f"{host}: {program} gave no answer within {HELPER_TIMEOUT_S} s; {advice}") from None
    return process.returncode, output.decode(errors="replace"), complaint.decode(errors="replace")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a helper that was not waited for to its end, with all that it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()  # Popen's own context does not wait after Ctrl-C


def _printable(said: str) -> str:
    """Return what a helper said of its failure, in one line; never what may be a secret."""
    if "Secret" in said:
        return "(what it said is not shown: it may hold a secret)"
    return "".join(letter if letter.isprintable() else " " for letter in said)[:SHOWN_CHARACTERS]


def _name(username: str, host: str) -> str:
    """Return the name that goes with an identity's token: Azure has one for it; others are asked with docker's."""
    return azure.USER if username == IDENTITY and azure.knows(host) else username


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
