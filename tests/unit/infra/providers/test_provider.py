"""The seam between programs and clouds: pools cut in two, declared differences, names."""

import inspect
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trihull_infra import naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.environment import PoolSpec
from trihull_infra.provider import Provider, capabilities, shares

PROVIDERS = Path(provider.__file__).parent / "providers"
ORDER = ("network", "keys", "logs", "cluster", "pools", "registry", "bucket", "identity", "dns", "describe")


def pool(nodes_min: int, nodes_max: int, spot_share: float, *, fallback: bool = False) -> PoolSpec:
    return PoolSpec(
        machine="small", nodes_min=nodes_min, nodes_max=nodes_max, spot_share=spot_share, on_demand_fallback=fallback
    )


def cut(asked: PoolSpec) -> list[tuple[str, bool, int, int]]:
    return [(part.name, part.spot, part.nodes_min, part.nodes_max) for part in shares("serving", asked)]


def test_a_pool_without_spot_is_one_pool() -> None:
    assert cut(pool(2, 5, 0)) == [("serving", False, 2, 5)]


def test_a_pool_of_spot_alone_is_one_pool() -> None:
    assert cut(pool(2, 5, 1)) == [("servingspot", True, 2, 5)]


def test_half_spot_is_two_pools_whose_sums_are_the_pools() -> None:
    assert cut(pool(4, 9, 0.5)) == [("serving", False, 2, 5), ("servingspot", True, 2, 4)]


def test_without_spot_to_be_had_all_may_be_on_demand() -> None:
    assert cut(pool(4, 9, 0.5, fallback=True)) == [("serving", False, 2, 9), ("servingspot", True, 2, 4)]
    assert cut(pool(2, 5, 1, fallback=True)) == [("serving", False, 0, 5), ("servingspot", True, 2, 5)]


@given(st.integers(1, 50), st.integers(0, 50), st.floats(0, 1), st.booleans())
def test_parts_add_up_to_the_pool(nodes_min: int, more: int, spot_share: float, fallback: bool) -> None:
    parts = shares("serving", pool(nodes_min, nodes_min + more, spot_share, fallback=fallback))
    assert sum(part.nodes_min for part in parts) == nodes_min
    maxima = {part.spot: part.nodes_max for part in parts}
    if fallback and True in maxima:
        assert maxima[False] == nodes_min + more
        assert maxima[True] <= nodes_min + more
    else:
        assert sum(maxima.values()) == nodes_min + more
    for part in parts:
        assert 0 <= part.nodes_min <= part.nodes_max
        assert part.nodes_max >= 1


@pytest.mark.parametrize("name", [naming.SYSTEM_POOL, naming.POOL, naming.ACCELERATOR_POOL])
def test_pool_names_keep_within_azures_limit(name: str) -> None:
    halves = {naming.pool(name, spot=spot) for spot in (False, True)}
    assert len(halves) == 2
    assert all(re.fullmatch(r"[a-z][a-z0-9]{0,11}", half) for half in halves)


@pytest.mark.parametrize("cloud", list(Cloud))
def test_every_cloud_has_the_same_files_with_the_same_functions(cloud: Cloud) -> None:
    folder = PROVIDERS / cloud
    wanted = {f"{name}.py" for name in (*ORDER, "connection", "provider", "spec", "__init__")}
    assert wanted <= {file.name for file in folder.glob("*.py")}
    text = (folder / "provider.py").read_text()
    places = [text.index(f".{cloud}.{name} import {name} ") for name in ORDER]
    assert places == sorted(places), "a reader finds the functions in the order of the Provider"


@pytest.mark.parametrize("name", ["connect", *ORDER])
def test_every_cloud_takes_what_the_provider_says(name: str) -> None:
    file = "connection" if name == "connect" else name
    wanted = [part for part in inspect.signature(getattr(Provider, name)).parameters if part != "self"]
    for cloud in Cloud:
        text = (PROVIDERS / cloud / f"{file}.py").read_text()
        found = re.search(rf"^def {name}\((.*?)\) ->", text, re.MULTILINE | re.DOTALL)
        assert found is not None, f"{cloud}/{file}.py has no function {name}"
        assert re.findall(r"(\w+):", found[1]) == wanted


@pytest.mark.parametrize("cloud", list(Cloud))
def test_no_cloud_is_asked_for_outside_its_provider(cloud: Cloud) -> None:
    neutral = (
        "site", "serving", "routing", "workload/pods", "workload/objects", "workload/placement",
        "workload/policies", "workload/agents", "images", "certificates", "program", "pools", "parts",
        "overrides",
    )  # fmt: skip
    for file in neutral:
        text = (PROVIDERS.parent / f"{file}.py").read_text()
        assert f"Cloud.{cloud.name}" not in text


@pytest.mark.parametrize("cloud", list(Cloud))
def test_capabilities_are_read_without_an_sdk(cloud: Cloud) -> None:
    declared = capabilities(cloud)
    assert set(declared.differs) <= set(provider.Properties.__dataclass_fields__)


@pytest.mark.parametrize("cloud", list(Cloud))
def test_the_docs_tell_every_declared_difference(cloud: Cloud) -> None:
    text = (PROVIDERS.parents[3] / "docs" / "providers.md").read_text()
    missing = [name for name in capabilities(cloud).differs if f"`{name}`" not in text]
    assert not missing, f"docs/providers.md says nothing of {missing}"
