"""Endpoints in the wire format: what protobuf's own library reads from it is what was to be said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.runtime.router.discovery import decoded
from trihull_runtime.router.envoy import wire

TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
TEXT = st.text(max_size=200)
NUMBERS = st.integers(min_value=0, max_value=2**32 - 1)
METADATA = st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT, max_size=2), min_size=1, max_size=2)


def endpoints(draining: bool) -> st.SearchStrategy[dict[str, Any]]:
    fixed = {
        "endpoint": st.fixed_dictionaries(
            {
                "hostname": TEXT,
                "address": st.fixed_dictionaries(
                    {"socket_address": st.fixed_dictionaries({"address": TEXT, "port_value": NUMBERS})}
                ),
                "health_check_config": st.fixed_dictionaries({"hostname": TEXT}),
            }
        ),
        "load_balancing_weight": NUMBERS,
        "metadata": st.fixed_dictionaries({"filter_metadata": METADATA}),
    }
    return st.fixed_dictionaries({**fixed, "health_status": st.just("DRAINING")} if draining else fixed)


ENDPOINTS = endpoints(draining=False) | endpoints(draining=True)
ASSIGNMENTS = st.fixed_dictionaries(
    {
        "@type": st.just(TYPE),
        "cluster_name": TEXT,
        "policy": st.fixed_dictionaries({"overprovisioning_factor": NUMBERS}),
        "endpoints": st.lists(
            st.fixed_dictionaries(
                {
                    "priority": NUMBERS,
                    "locality": st.fixed_dictionaries({"region": TEXT, "zone": TEXT}),
                    "lb_endpoints": st.lists(ENDPOINTS, min_size=1, max_size=4),
                }
            ),
            min_size=1,
            max_size=4,
        ),
    }
)


def shown(value: Any) -> Any:
    """Return what protobuf's JSON shows of a value: without zeros and empty texts, but for wrappers and metadata."""
    if isinstance(value, list):
        return [shown(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = ("load_balancing_weight", "overprovisioning_factor")
    return {
        key: item if key == "filter_metadata" else shown(item)
        for key, item in value.items()
        if key in kept or item not in ("", 0)
    }


@given(st.integers(min_value=0, max_value=10**18), st.lists(ASSIGNMENTS, max_size=2))
def test_protobuf_reads_what_was_to_be_said(version: int, resources: list[dict[str, Any]]) -> None:
    found = decoded(wire.encode(f"{version}", resources))
    assert found["version_info"] == f"{version}"
    assert found.get("resources", []) == shown(resources)


@given(st.integers(min_value=0, max_value=10**18), st.lists(ASSIGNMENTS, max_size=1))
def test_version_and_rest_come_apart_again(version: int, resources: list[dict[str, Any]]) -> None:
    assert wire.split(wire.encode(f"{version}", resources)) == (f"{version}", wire.encode_resources(resources))


def test_a_part_that_is_shared_and_one_that_only_looks_like_it_are_told_apart() -> None:
    def endpoint(metadata: dict[str, Any]) -> dict[str, Any]:
        return {"endpoint": {"hostname": "a"}, "metadata": {"filter_metadata": metadata}}

    metadata = {"filter": {"site": "aws"}}
    first, second, third = endpoint(metadata), endpoint(metadata), endpoint({"filter": {"site": "gcp"}})
    second["metadata"] = first["metadata"]
    resource = {"@type": TYPE, "endpoints": [{"lb_endpoints": [first, second, third, first]}]}
    (found,) = decoded(wire.encode("1", [resource]))["resources"]
    sites = [one["metadata"]["filter_metadata"]["filter"]["site"] for one in found["endpoints"][0]["lb_endpoints"]]
    assert sites == ["aws", "aws", "gcp", "aws"]


def test_what_is_not_known_is_refused_and_never_left_out() -> None:
    with pytest.raises(KeyError, match="proximity"):
        wire.encode("1", [{"@type": TYPE, "endpoints": [{"proximity": 1}]}])
    with pytest.raises(KeyError, match="HEALTHY"):
        wire.encode("1", [{"@type": TYPE, "endpoints": [{"lb_endpoints": [{"health_status": "HEALTHY"}]}]}])


@pytest.mark.parametrize("data", [b"", b"\x0a", b"{}", b"\x0a\x80\x01", b"\x0a\x05123", b"\x12\x00"])
def test_what_is_none_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no discovery response of ours"):
        wire.split(data)
