"""Whatever stands in a fleet or in the clients' file: it is refused by name, or a configuration follows from it."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.unit.runtime.router.fleets import ADDRESSES
from trihull_runtime.contract import Clients, ContractError, Fleet, Policy
from trihull_runtime.contract.codec import Document
from trihull_runtime.router.envoy import Ingress, Layout, render
from trihull_runtime.router.errors import RouterError
from trihull_runtime.router.planning import make_plan
from trihull_runtime.router.timings import LAB

GOLDEN = Path(__file__).parents[3] / "golden" / "contract"
LAYOUT = Layout(Path("/x/envoy"), Path("/x/logs"), Path("/x/envoy.sock"), None)
STRANGE: list[Any] = [
    None, True, 0, -1, 1 << 70, 1e308, "", "x" * 5000, "\0", "../..", "*", "@", "~", "a.b", "sites", "sha256:",
    "http://[::1]:1", [], {}, [[]], {"": {}}, {"a": None}, "-----BEGIN CERTIFICATE-----", "%REQ(X)%", "(.*", "eu\n",
]  # fmt: skip


def mutated(rng: random.Random, value: Any) -> Any:
    """The same value with something strange in it, missing from it, or twice in it."""
    copy = json.loads(json.dumps(value))
    place, path = copy, []
    while isinstance(place, dict | list) and place:
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        path.append((place, key))
        place = place[key]
        if rng.random() < 0.25:
            break
    holder, key = path[-1]
    match rng.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(["x", "", "x" * 300, "ü", "a\nb"])] = holder[key]
        case 2 if isinstance(holder, list):
            holder.append(holder[key])
        case _:
            holder[key] = rng.choice(STRANGE)
    return copy


@pytest.mark.parametrize("count", [1000, pytest.param(5000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(("name", "kind"), [("fleet.json", Fleet), ("clients.json", Clients)])
def test_mutated_documents_never_end_in_a_crash(name: str, kind: type[Document], count: int) -> None:
    rng, golden = random.Random(20261124), json.loads((GOLDEN / name).read_text())
    good_fleet = Fleet.read(GOLDEN / "fleet.json")
    addresses = {**ADDRESSES, "127.0.0.1": ("127.0.0.1",)}
    outcomes = {"refused": 0, "rendered": 0}
    for _ in range(count):
        value = golden
        for _ in range(rng.randint(1, 3)):
            value = mutated(rng, value)
            if not isinstance(value, dict):
                break
        try:
            document = kind.from_value(value, name)
            fleet, clients = (document, None) if isinstance(document, Fleet) else (good_fleet, document)
            assert isinstance(fleet, Fleet)
            assert clients is None or isinstance(clients, Clients)
            plan = make_plan(fleet, Policy.PRIORITY, addresses)
            json.dumps(render(plan, LAYOUT, Ingress("127.0.0.1", 1, clients=clients), LAB).static)
        except (ContractError, RouterError):
            outcomes["refused"] += 1
        else:
            outcomes["rendered"] += 1
    assert min(outcomes.values()) > count / 50, outcomes  # both are met, or the generator shows nothing


def test_damaged_bytes_are_refused_or_still_a_fleet() -> None:
    rng = random.Random(7)
    text = (GOLDEN / "fleet.json").read_bytes()
    for _ in range(2000):
        data = bytearray(text[: rng.randrange(len(text))])
        for _ in range(rng.randrange(4)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            found = Fleet.parse(bytes(data), "fleet.json")
        except ContractError:
            continue
        assert Fleet.parse(found.to_json()) == found
