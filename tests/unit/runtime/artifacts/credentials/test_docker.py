"""What `docker login` left behind is found in every form it has; what is broken is named, and no secret is shown."""

import base64
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.signals import disposition
from trihull_runtime.artifacts.errors import DeniedError, RegistryError
from trihull_runtime.artifacts.registry.credentials import azure, docker
from trihull_runtime.artifacts.registry.keychain import Credentials

HOST = "registry.example:5000"
AUTH = base64.b64encode(b"me:se:cret").decode()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".docker").mkdir()
    return tmp_path


def write(home: Path, value: object) -> None:
    (home / ".docker/config.json").write_text(value if isinstance(value, str) else json.dumps(value))


def helper(home: Path, monkeypatch: pytest.MonkeyPatch, script: str, name: str = "test") -> None:
    path = home / "bin" / f"docker-credential-{name}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}/bin:/usr/bin:/bin")


def test_without_any_file_nothing_is_known() -> None:
    assert docker.find(HOST) is None


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", f"{HOST}/team"])
def test_a_login_is_found_under_every_name_that_docker_gives_it(home: Path, key: str) -> None:
    write(home, {"auths": {"other.example": {"auth": AUTH}, key: {"auth": AUTH}}})
    assert docker.find(HOST) == Credentials("me", "se:cret", str(home / ".docker/config.json"))
    assert docker.find("registry.example") is None


def test_a_login_for_a_part_of_a_registry_comes_after_one_for_all_of_it(home: Path) -> None:
    other = base64.b64encode(b"team:part").decode()
    write(home, {"auths": {f"{HOST}/team": {"auth": other}, HOST: {"auth": AUTH}}})
    assert docker.find(HOST) == Credentials("me", "se:cret", str(home / ".docker/config.json"))


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_is_known_by_the_name_that_docker_gives_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    write(home, {"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}})
    assert getattr(docker.find(host), "username", None) == "me"
    write(home, {"credsStore": "test"})
    helper(home, monkeypatch, 'read host; echo "{\\"Username\\": \\"me\\", \\"Secret\\": \\"$host\\"}"')
    assert getattr(docker.find(host), "password", None) == "https://index.docker.io/v1/"


def test_a_name_and_a_password_in_the_open_are_taken_too(home: Path) -> None:
    write(home, {"auths": {HOST: {"username": "me", "password": "secret"}}})
    assert docker.find(HOST) == Credentials("me", "secret", str(home / ".docker/config.json"))


def test_an_identity_token_has_azures_name_at_azure(home: Path) -> None:
    write(home, {"auths": {name: {"auth": AUTH, "identitytoken": "tok"} for name in ("hulls.azurecr.io", HOST)}})
    assert [getattr(docker.find(name), "username", None) for name in ("hulls.azurecr.io", HOST)] == [
        azure.USER,
        "<token>",
    ]


def test_a_helper_of_the_host_comes_before_the_store_and_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, {"credHelpers": {HOST: "test"}, "credsStore": "other", "auths": {HOST: {"auth": AUTH}}})
    helper(home, monkeypatch, 'read host; echo "{\\"Username\\": \\"$1\\", \\"Secret\\": \\"$host\\"}"')
    assert docker.find(HOST) == Credentials("get", HOST, "docker-credential-test")


def test_a_store_that_does_not_know_the_host_leaves_it_to_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, {"credsStore": "test", "auths": {HOST: {"auth": AUTH}}})
    helper(home, monkeypatch, "echo credentials not found in native keychain; exit 1")
    assert docker.find(HOST) == Credentials("me", "se:cret", str(home / ".docker/config.json"))


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("echo locked; exit 3", RegistryError, "docker-credential-test failed with code 3: locked"),
        ("echo nonsense", DeniedError, "gave something that is no credentials"),
        ('echo \'{"Username": 1, "Secret": 2}\'', DeniedError, "gave something that is no credentials"),
        ("exec sleep 60", RegistryError, "gave no answer within"),
        ("sleep 60; true", RegistryError, "gave no answer within"),  # what it started holds its output open
        ("printf '\\033[2Jno\\ngood'; exit 1", RegistryError, r"failed with code 1:  \[2Jno good$"),
        ("printf '\\377'", DeniedError, "gave something that is no credentials"),
    ],
)
def test_a_helper_that_fails_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, script: str, error: type[Exception], message: str
) -> None:
    monkeypatch.setattr(docker, "HELPER_TIMEOUT_S", 1)
    write(home, {"credsStore": "test"})
    helper(home, monkeypatch, script)
    with pytest.raises(error, match=message):
        docker.find(HOST)


def test_a_helper_that_fails_with_a_secret_in_its_mouth_is_not_quoted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, {"credsStore": "test"})
    helper(home, monkeypatch, 'echo \'{"Username": "me", "Secret": "hidden"}\'; exit 1')
    with pytest.raises(RegistryError, match="docker-credential-test failed with code 1") as caught:
        docker.find(HOST)
    assert "hidden" not in str(caught.value)


def test_a_helper_that_takes_too_long_leaves_no_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "HELPER_TIMEOUT_S", 1)
    write(home, {"credsStore": "test"})
    helper(home, monkeypatch, f"sleep 60 & echo $! > {home}/pid; wait")
    with pytest.raises(RegistryError, match="gave no answer within"):
        docker.find(HOST)
    child = Path("/proc") / (home / "pid").read_text().strip() / "cmdline"
    deadline = time.monotonic() + 20
    while child.exists() and child.read_bytes() != b"":  # only an ended process has no command line
        assert time.monotonic() < deadline, "the helper's child was killed, and ends as soon as the system comes to it"
        time.sleep(0.01)


def test_a_signal_in_the_moment_in_which_a_helper_starts_ends_it_too(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, {"credsStore": "test"})
    helper(home, monkeypatch, f"echo $$ > {home}/pid; kill -INT {os.getpid()}; exec sleep 60")
    with disposition(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        docker.find(HOST)
    process = Path("/proc") / (home / "pid").read_text().strip() / "cmdline"
    assert not process.exists() or process.read_bytes() == b"", "only an ended process has no command line"


@pytest.mark.parametrize("name", ["missing", "../../bin/sh", "x y"])
def test_a_helper_that_is_no_program_is_named(home: Path, name: str) -> None:
    write(home, {"credHelpers": {HOST: name}})
    with pytest.raises(RegistryError, match="which is not on PATH"):
        docker.find(HOST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "expected a JSON object"),
        (json.dumps({"auths": {HOST: {"auth": "§§§"}}}), "is not Base64 of name:password; run `docker login"),
        (
            json.dumps({"auths": {HOST: {"auth": base64.b64encode(b"secret").decode()}}}),
            "is not Base64 of name:password",
        ),
    ],
)
def test_a_damaged_file_is_named_and_no_secret_shown(home: Path, text: str, message: str) -> None:
    write(home, text)
    with pytest.raises(DeniedError, match=message) as caught:
        docker.find(HOST)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", [{"auths": 1}, {"auths": {HOST: 1}}, {"credHelpers": []}, {"auths": {HOST: {}}}, {}])
def test_a_file_without_anything_for_the_host_says_nothing(home: Path, value: object) -> None:
    write(home, value)
    assert docker.find(HOST) is None


@pytest.mark.parametrize(
    ("variable", "value", "file"),
    [
        ("REGISTRY_AUTH_FILE", "chosen.json", "chosen.json"),
        ("XDG_RUNTIME_DIR", "run", "run/containers/auth.json"),
        ("XDG_CONFIG_HOME", "configuration", "configuration/containers/auth.json"),
        ("UNRELATED", "", ".config/containers/auth.json"),
    ],
)
def test_the_files_of_podman_are_read_too(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, file: str
) -> None:
    path = home / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": {HOST: {"auth": AUTH}}}))
    monkeypatch.setenv(variable, str(home / value))
    assert docker.find(HOST) == Credentials("me", "se:cret", str(path))


def test_a_user_without_a_home_has_no_file_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(_: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(missing))
    assert docker.find(HOST) is None
    (tmp_path / "config.json").write_text(json.dumps({"auths": {HOST: {"auth": AUTH}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert docker.find(HOST) == Credentials("me", "se:cret", str(tmp_path / "config.json"))


def test_a_secret_is_not_in_what_is_printed() -> None:
    assert "hidden" not in repr(Credentials("me", "hidden", "a test"))
