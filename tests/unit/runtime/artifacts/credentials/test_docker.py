"""What `docker login` left behind is found in every form it has; what is broken is named, and no secret is shown."""

import base64
import json
from pathlib import Path

import pytest

from trihull_runtime.artifacts.errors import DeniedError, RegistryError
from trihull_runtime.artifacts.registry.credentials import azure, docker
from trihull_runtime.artifacts.registry.keychain import Credentials

HOST = "registry.example:5000"
AUTH = base64.b64encode(b"me:se:cret").decode()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
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


def test_the_files_of_podman_are_read_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "containers").mkdir()
    (home / "containers/auth.json").write_text(json.dumps({"auths": {HOST: {"auth": AUTH}}}))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    assert docker.find(HOST) == Credentials("me", "se:cret", str(home / "containers/auth.json"))


def test_a_secret_is_not_in_what_is_printed() -> None:
    assert "hidden" not in repr(Credentials("me", "hidden", "a test"))
