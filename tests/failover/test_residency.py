"""Residency is a wall: no request of a class ever reaches a site outside it, whatever happens to the sites inside."""

import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.failover.load import eventually
from tests.failover.rig import Router, ask, fleet_of, router_for
from tests.failover.standin import StandIn
from trihull_runtime.contract import Client, Clients, Fleet, ResidencyClass, Routing

INFER = "/v2/models/digits/infer"
KEYS = {"european": "european-key-0123456789", "american": "american-key-0123456789", "plain": "plain-key-0123456789ab"}
CLIENTS = Clients(
    1,
    (
        Client("european", (KEYS["european"],), "eu"),
        Client("american", (KEYS["american"],), "us"),
        Client("plain", (KEYS["plain"],)),
    ),
)


def walled(standins: dict[str, StandIn], **rules: Any) -> Fleet:
    """aws and gcp are in the eu, azure is in the us."""
    fleet = fleet_of(standins)
    sites = tuple(replace(site, residency="us" if site.name == "azure" else "eu") for site in fleet.sites)
    classes = {
        "eu": ResidencyClass(("eu",), ("eu.models.example.org",)),
        "us": ResidencyClass(("us",)),
        "moon": ResidencyClass(("moon",), ("moon.models.example.org",)),
    }
    return replace(fleet, sites=sites, routing=Routing(classes=classes, **rules))


@contextlib.contextmanager
def walling(folder: Path, sites: dict[str, StandIn]) -> Iterator[Router]:
    clients = folder / "clients.json"
    CLIENTS.write(clients)
    with router_for(folder / "router", walled(sites), TRIHULL_CLIENTS=str(clients)) as router:
        eventually(lambda: set(router.health("digits@eu").values()) == {"healthy"}, "sites are healthy")
        eventually(lambda: set(router.health("digits@us").values()) == {"healthy"}, "sites are healthy")
        yield router


@pytest.fixture
def walls(standins: dict[str, StandIn], tmp_path: Path) -> Iterator[Router]:
    with walling(tmp_path, standins) as router:
        yield router


@pytest.fixture(scope="module")
def module_walls(module_standins: dict[str, StandIn], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """In front of `shared_standins`, for tests that only ask."""
    with walling(tmp_path_factory.mktemp("walls"), module_standins) as router:
        yield router


def asked_by(router: Router, client: str, **headers: str) -> tuple[int, str]:
    found = ask(f"{router.url}{INFER}", "POST", b'{"id": "client"}', {"x-api-key": KEYS[client], **headers})
    return found[0], found[1].get("x-trihull-site", "")


def reached(site: StandIn) -> int:
    """How many requests of clients a site got."""
    return sum(identity == "client" for _, _, identity in site.asked)


def test_the_class_of_a_key_decides_and_nothing_that_a_client_says(
    module_walls: Router, shared_standins: dict[str, StandIn]
) -> None:
    assert asked_by(module_walls, "european") == (200, "aws")
    assert asked_by(module_walls, "american") == (200, "azure")
    forged = {"x-trihull-class": "us", "x-trihull-client": "american", "x-trihull-key": "us/american"}
    assert asked_by(module_walls, "european", **forged) == (200, "aws")
    assert asked_by(module_walls, "european", **{"x-trihull-site": "azure", "x-trihull-as": "digits@us"}) == (
        200,
        "aws",
    )
    assert reached(shared_standins["azure"]) == 1


def test_a_client_without_a_class_is_refused_and_one_of_the_hosts_class_is_not(module_walls: Router) -> None:
    assert asked_by(module_walls, "plain")[0] == 403
    assert asked_by(module_walls, "plain", Host="eu.models.example.org") == (200, "aws")
    assert asked_by(module_walls, "european", Host="eu.models.example.org") == (200, "aws")
    assert asked_by(module_walls, "american", Host="eu.models.example.org")[0] == 403


def test_without_a_site_inside_the_answer_is_503_and_never_a_leak(walls: Router, standins: dict[str, StandIn]) -> None:
    status, headers, body = ask(
        f"{walls.url}{INFER}",
        "POST",
        b'{"id": "client"}',
        {"x-api-key": KEYS["plain"], "Host": "moon.models.example.org"},
    )
    assert (status, headers["x-trihull-refused"], headers["retry-after"]) == (503, "residency", "1")
    assert b"moon" in body
    for name in ("aws", "gcp"):
        standins[name].down()
    for _ in range(20):
        assert asked_by(walls, "european")[0] == 503
    assert reached(standins["azure"]) == 0


def test_when_every_check_lies_the_wall_still_stands(walls: Router, standins: dict[str, StandIn]) -> None:
    for site in standins.values():
        site.ready = False
    eventually(lambda: set(walls.health("digits@eu").values()) == {"unhealthy"}, "every check says no")
    walls.wait_event("config_applied", 2)
    eventually(
        lambda: (
            {row["share_percent"] for row in walls.admin("GET", "/v1/status")[1]["models"]["digits@eu"]["sites"]}
            == {50}
        ),
        "both sites inside share alike",
    )
    for _ in range(30):
        assert asked_by(walls, "european") in {(200, "aws"), (200, "gcp")}
        assert asked_by(walls, "american") == (200, "azure")
    standins["aws"].status = 503
    for _ in range(30):
        assert asked_by(walls, "european") == (200, "gcp")
    standins["gcp"].status = 503
    for _ in range(30):
        assert asked_by(walls, "european")[0] == 503
    assert reached(standins["azure"]) == 30


def test_whatever_happens_no_request_crosses_the_wall(walls: Router, standins: dict[str, StandIn]) -> None:
    rng = random.Random(7)
    for _ in range(40):
        site = rng.choice(list(standins.values()))
        match rng.choice(["status", "cut", "ready", "slow", "well", "drain"]):
            case "status":
                site.status = rng.choice([200, 429, 500, 503])
            case "cut":
                site.cut = not site.cut
            case "ready":
                site.ready = not site.ready
            case "slow":
                site.delay_s = rng.choice([0.0, 0.02])
            case "drain":
                walls.admin("POST", f"/v1/sites/{site.name}/{rng.choice(['drain', 'undrain'])}")
            case _:
                site.status, site.cut, site.ready = 200, False, True
        for _ in range(5):
            before = {name: reached(each) for name, each in standins.items()}
            client = rng.choice(["european", "american"])
            asked_by(walls, client)
            after = {name for name, each in standins.items() if reached(each) > before[name]}
            assert after <= ({"aws", "gcp"} if client == "european" else {"azure"})


def test_a_default_class_is_for_those_without_one(standins: dict[str, StandIn], tmp_path: Path) -> None:
    with router_for(tmp_path / "router", walled(standins, default_class="us")) as router:
        eventually(lambda: set(router.health("digits@us").values()) == {"healthy"}, "sites are healthy")
        status, headers, _ = ask(f"{router.url}{INFER}", "POST", b"{}")
        assert (status, headers["x-trihull-site"]) == (200, "azure")
