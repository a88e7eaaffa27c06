"""Findings: what is compared, and what is never repeated."""

import pytest

from trihull_infra.doctor import findings
from trihull_infra.doctor.findings import Status


@pytest.mark.parametrize(
    ("need", "limit", "used", "up", "status"),
    [
        (4, 8, 4, False, Status.OK),
        (5, 8, 4, False, Status.FAILED),
        (5, 8, 4, True, Status.WARNING),
        (9, 8, 0, True, Status.FAILED),
        (1, 0, 0, False, Status.FAILED),
        (0, 0, 0, False, Status.OK),
        (1, 5, 9, False, Status.FAILED),
    ],
)
def test_a_quota_is_enough_when_what_is_free_is(need: int, limit: int, used: int, up: bool, status: Status) -> None:
    found = findings.compare("vCPUs", need, limit, used, "ask for more", up=up)
    assert found.status is status
    assert f"needs {need}, {max(limit - used, 0)} of {limit} free" in found.seen
    assert (found.do == "") == (status is Status.OK)


def test_no_secret_of_the_environment_is_repeated() -> None:
    environ = {"AWS_SECRET_ACCESS_KEY": "hunter2hunter2", "PULUMI_CONFIG_PASSPHRASE": "open sesame", "HOME": "/home/me"}
    text = findings.plain("key hunter2hunter2 with open sesame in /home/me", environ)
    assert text == "key *** with *** in /home/me"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef123456 was refused",
        "token eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl expired",
        "https://me:abcdef123456@proxy.example.com failed",
        "-----BEGIN PRIVATE KEY----- abcdef123456",
    ],
)
def test_nothing_that_looks_like_a_token_is_repeated(text: str) -> None:
    found = findings.plain(text, {})
    assert "***" in found
    assert not {"abcdef123456", "eyJzdWIiOiIx", "c2lnbmF0dXJl"} & set(found.replace(":", " ").replace("@", " ").split())
    assert "abcdef123456" not in found


def test_the_path_of_a_credentials_file_is_no_secret() -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json"}
    assert findings.plain("File /home/me/key.json was not found", environ) == "File /home/me/key.json was not found"


def test_a_text_is_one_short_line() -> None:
    assert findings.plain("a\n  b\tc", {}) == "a b c"
    assert len(findings.plain("x" * 5000, {})) < 500
    assert findings.plain(ValueError(), {}) == "ValueError"
