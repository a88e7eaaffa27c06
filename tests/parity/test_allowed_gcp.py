"""Strings that Google Cloud takes from a closed set: each that our programs set is known, and checked."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.conftest import ADDRESSES, NAMES, Run, RunDns
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder import allowed
from trihull_infra.emulators.recorder.checks import check
from trihull_infra.emulators.recorder.facts import Facts, Type, facts


def strings(known: Facts, kind: Type, value: Any, path: str) -> Iterator[str]:
    """Yield the path of every string that an SDK knows only as one; values of maps (labels) are free everywhere."""
    if isinstance(value, list) and kind.of is not None:
        for index, item in enumerate(value):
            yield from strings(known, kind.of, item, f"{path}[{index}]")
    elif kind.kind == "object" and isinstance(value, dict):
        for name, item in value.items():
            below = known.objects[kind.name]
            if name in below:
                yield from strings(known, below[name].type, item, f"{path}.{name}")
    elif kind.kind == "str" and value is not None:
        yield path


def unlisted(recording: mocks.Recording) -> set[tuple[str, str]]:
    found = set()
    for one in recording.resources:
        if one.custom and one.type.startswith("gcp:"):
            known = facts(one.type)
            for name, value in mocks.opened(one.inputs).items():
                if name in known.inputs:
                    for path in strings(known, known.inputs[name].type, value, name):
                        if not allowed.known(one.type, path):
                            found.add((one.type, allowed.anywhere(path)))
    return found


def test_every_string_of_a_site_is_free_or_of_a_known_set(run: Run, name: str) -> None:
    assert unlisted(run("site", f"{name}-gcp")) == set()


@pytest.mark.parametrize("routers", [ADDRESSES, NAMES], ids=["http", "https"])
def test_every_string_of_a_name_is_free_or_of_a_known_set(run_dns: RunDns, routers: dict[str, str]) -> None:
    only = {cloud: url for cloud, url in routers.items() if not url.endswith("example.net")}
    assert unlisted(run_dns(Cloud.GCP, only)) == set()


SLIPS = [(token, path) for (token, path) in sorted(allowed.sources())]


@pytest.mark.parametrize(("token", "path"), SLIPS, ids=[f"{one[0].rpartition(':')[2]}-{one[1]}" for one in SLIPS])
def test_a_value_outside_its_set_is_refused(token: str, path: str) -> None:
    value: Any = "NO_SUCH_VALUE"
    for step in reversed(path.split(".")):
        name, of_list, _ = step.partition("[*]")
        value = {name: [value] if of_list else value}
    reasons = [failure.reason for failure in check(facts(token), value)]
    assert any("NO_SUCH_VALUE" in reason and "allowed values" in reason for reason in reasons), reasons


def test_every_closed_set_says_where_it_is_from() -> None:
    for (token, path), source in allowed.sources().items():
        assert "@" in source or source.startswith("Google's "), f"{token} {path}"
        values = allowed.values(token, path)
        assert values
        assert len(set(values)) == len(values)
