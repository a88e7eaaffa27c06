"""Tokens that do not say when they end, or not in numbers: used once, kept never."""

import base64
from pathlib import Path

import pytest

from trihull_runtime.artifacts.registry.credentials import Finder, aws, azure
from trihull_runtime.artifacts.registry.keychain import Credentials, Exchanged

ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    "claims",
    [
        b"{}",
        b'{"iss": "x", "iat": 1790000000}',
        b'{"exp": null}',
        b'{"exp": "never"}',
        b'{"exp": []}',
        b'{"exp": NaN}',
        b'{"exp": Infinity}',
        b'{"exp": 1e999}',
        b'{"exp": 1' + b"0" * 400 + b"}",
        b"[]",
        b"7",
        b"no JSON",
        b"\xff",
    ],
    ids=lambda claims: repr(claims[:24]),
)
def test_a_token_that_does_not_say_when_it_ends_is_never_kept(claims: bytes) -> None:
    payload = base64.urlsafe_b64encode(claims).decode().rstrip("=")
    assert azure.ends(f"header.{payload}.signature") == 0


def test_what_has_no_known_end_is_asked_for_each_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    calls: list[str] = []

    def exchange(host: str) -> Exchanged:
        calls.append(host)
        return Exchanged(Credentials("AWS", str(len(calls)), "test"), 0.0)

    monkeypatch.setattr(aws, "exchange", exchange)
    finder = Finder(lambda: 1000.0)
    assert [getattr(finder.find(ECR), "password", None) for _ in range(2)] == ["1", "2"]
