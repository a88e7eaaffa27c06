"""Statements: one form of bytes, and nothing is read that is not one."""

import json
from typing import Any

import pytest

from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.evidence.statement import TYPE, Named, Statement, parse

DIGEST = f"sha256:{'a' * 64}"
VALUE: dict[str, Any] = {
    "_type": TYPE,
    "subject": [{"name": "digits", "digest": {"sha256": "a" * 64}}],
    "predicateType": "https://example.com/p",
    "predicate": {"b": 1, "a": [1.5, None]},
}


def test_a_statement_survives_its_bytes_and_has_one_form_of_them() -> None:
    one = Statement("https://example.com/p", (Named("digits", DIGEST),), {"b": 1, "a": [1.5, None]})
    assert json.loads(one.to_bytes()) == VALUE
    assert parse(one.to_bytes(), "x") == one
    assert parse(json.dumps(VALUE, indent=4).encode(), "x").to_bytes() == one.to_bytes()


def test_a_statement_is_about_its_subjects_alone() -> None:
    two = Statement("p", (Named("", DIGEST), Named("", f"sha256:{'b' * 64}")), {})
    assert two.is_about(DIGEST)
    assert two.is_about(f"sha256:{'b' * 64}")
    assert not two.is_about(f"sha256:{'c' * 64}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "no statement of in-toto, version 1"),
        ({"predicateType": 7}, "expected predicateType"),
        ({"predicate": []}, "expected predicateType"),
        ({"subject": []}, "at least one subject"),
        ({"subject": ["x"]}, "subject: expected a digest by sha256"),
        ({"subject": [{"digest": {"sha512": "a" * 128}}]}, "subject: expected a digest by sha256"),
        ({"subject": [{"digest": {"sha256": "A" * 64}}]}, "subject: expected a digest by sha256"),
    ],
)
def test_what_is_no_statement_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(LayoutError, match=f"here: .*{said}"):
        parse(json.dumps({**VALUE, **change}).encode(), "here")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[]", "is no JSON object"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"predicate": {}, "predicate": {}}', "a key stands twice"),
        (b"[" * 100_000, "is not valid JSON"),
    ],
)
def test_what_two_readers_might_read_differently_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(LayoutError, match=said):
        parse(data, "here")
