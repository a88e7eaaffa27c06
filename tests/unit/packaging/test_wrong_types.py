"""Every key of model.yaml is fed what it cannot be: each message has line, key, expectation, and YAML's words."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from tests.unit.packaging.test_spec import GOOD
from trihull_packaging import spec
from trihull_packaging.errors import SpecError

WRONG = ("7", "1.10", "007", "no", "2026-11-29", "22:00", "'[unlikely]'", "''", "", "[1]", "[]", "{a: 1}", "-3", ".nan")
# Words of Python and pydantic; a person wrote YAML.
FOREIGN = re.compile(
    r"\bNone\b|\bTrue\b|\bFalse\b|NoneType|<class|\[type=|[Ii]nput should|should have|valid (string|integer|number)|"
    r"\bdict\b|\blist\[|\btuple\b|found '|datetime"
)


def fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, (*above, name))


def described(model: type[BaseModel]) -> Iterator[tuple[str, str | None]]:
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}", field.description
        for option in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(option, type) and issubclass(option, BaseModel):
                yield from described(option)


def document(key: tuple[str, ...], text: str) -> str:
    value: dict[str, Any] = yaml.safe_load(yaml.safe_dump(GOOD))
    inner = value
    for part in key[:-1]:
        inner = inner.setdefault(part, {})
    inner[key[-1]] = "PLACE"
    return yaml.safe_dump(value, sort_keys=False).replace("PLACE", text)


def test_every_key_says_what_is_expected_of_it() -> None:
    assert [name for name, words in described(spec.ModelSpec) if not words] == []


@pytest.mark.parametrize("key", list(fields(spec.ModelSpec)), ids=".".join)
def test_a_value_of_a_wrong_type_is_told_in_words_of_yaml(key: tuple[str, ...]) -> None:
    refused = 0
    for text in WRONG:
        written = document(key, text)
        try:
            spec.parse(written, "model.yaml")
        except SpecError as error:
            refused += 1
            lines = str(error).splitlines()
        else:
            continue
        number = next(
            place for place, line in enumerate(written.splitlines(), 1) if f"{key[-1]}: {text}".strip() in line
        )
        ours = [line for line in lines if f": {'.'.join(key)}" in line]
        assert ours, (text, lines)
        for line in ours:
            assert line.startswith(f"model.yaml:{number}: "), (text, line)
            assert FOREIGN.search(line) is None, line
            assert ", found " in line or "is missing" in line or "; known" in line, line
            example = re.search(r"such as (\S+?),? found (\S+?)(;|$)", line)
            assert example is None or example[1].strip('"') != example[2].strip('"'), line
    assert refused >= len(WRONG) // 2
