"""The environment's name: the same order of failover whichever cloud hosts the zone, as far as that cloud can."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.forking import Ask
from tests.parity.conftest import ADDRESSES, NAMES, RunDns
from tests.parity.imports import SDKS
from tests.parity.mocks import Recording
from tests.parity.test_programs import assert_explicit_providers, conforming
from trihull_infra import domain
from trihull_infra.cloud import Cloud
from trihull_infra.domain import ZONES
from trihull_infra.errors import SpecError

RECORD = "aws:route53/record:Record"
CHECK = "aws:route53/healthCheck:HealthCheck"


def records(recording: Recording) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return the Route 53 records: name -> primary, secondary or nothing (a simple one) -> inputs."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in recording.of_type(RECORD):
        role = one.inputs.get("failoverRoutingPolicies", [{"type": ""}])[0]["type"].lower()
        found.setdefault(one.inputs["name"], {})[role] = one.inputs
    return found


def answered(recording: Recording, unwell: set[str]) -> str:
    """Return the router that Route 53 would answer, by its rules for failover records."""
    zone, name = records(recording), "models.example.com"
    checked = {site["check"]: site["site"] for site in recording.exports["sites"]}

    def well(record: Mapping[str, Any]) -> bool:
        return checked.get(record.get("healthCheckId")) not in unwell

    while "" not in zone[name]:
        pair = zone[name]
        down = not well(pair["primary"]) and "secondary" in pair and well(pair["secondary"])
        ((name,),) = [pair["secondary" if down else "primary"]["records"]]
    return name.partition(".")[0]


HOSTED = [(cloud, ADDRESSES) for cloud in ZONES] + [(cloud, NAMES) for cloud in ZONES if cloud is not Cloud.GCP]


@pytest.fixture(params=list(ZONES))
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """A cloud that hosts zones."""
    return Cloud(request.param)


@pytest.mark.parametrize(("host", "routers"), HOSTED)
def test_arguments_conform_and_the_provider_is_explicit(
    run_dns: RunDns, host: Cloud, preview: bool, routers: dict[str, str]
) -> None:
    recording = run_dns(host, routers, preview)
    assert conforming(recording) >= 2
    assert_explicit_providers(recording)
    assert recording.exports["name"] == "models.example.com"
    assert [site["site"] for site in recording.exports["sites"]] == ["azure", "aws", "gcp"]
    assert all(site["check"] for site in recording.exports["sites"])


def test_the_provider_is_bound_to_the_account_that_hosts_the_zone(run_dns: RunDns, cloud: Cloud) -> None:
    (connection,) = [one for one in run_dns(cloud).resources if one.type.startswith("pulumi:providers:")]
    key = {Cloud.AWS: "allowedAccountIds", Cloud.GCP: "project", Cloud.AZURE: "subscriptionId"}[cloud]
    account = {Cloud.AWS: json.dumps(["123456789012"]), Cloud.GCP: "some-project", Cloud.AZURE: f"{'1' * 8}-"}[cloud]
    assert str(connection.inputs[key]).startswith(account)


def test_all_stands_under_one_component(run_dns: RunDns, cloud: Cloud) -> None:
    recording = run_dns(cloud)
    assert [one.type for one in recording.resources if not one.custom] == ["trihull:dns:Dns"]
    custom = [one for one in recording.resources if one.custom and not one.type.startswith("pulumi:")]
    assert all("trihull:dns:Dns" in one.parent for one in custom)


def test_preview_and_update_register_the_same(run_dns: RunDns, cloud: Cloud) -> None:
    previewed, updated = (
        [(one.type, one.name) for one in run_dns(cloud, preview=preview).resources] for preview in (True, False)
    )
    assert previewed == updated


def test_nothing_in_dns_has_a_weight(run_dns: RunDns, cloud: Cloud) -> None:
    assert "weight" not in str([one.inputs for one in run_dns(cloud).resources]).lower()


@pytest.mark.parametrize(
    ("unwell", "expected"),
    [
        (set[str](), "azure"),
        ({"gcp"}, "azure"),
        ({"azure"}, "aws"),
        ({"aws"}, "azure"),
        ({"azure", "aws"}, "gcp"),
        ({"azure", "gcp"}, "aws"),
        ({"azure", "aws", "gcp"}, "aws"),  # none is well: the first of the last pair
    ],
)
def test_route_53_answers_the_first_router_that_is_well(run_dns: RunDns, unwell: set[str], expected: str) -> None:
    assert answered(run_dns(Cloud.AWS), unwell) == expected


@pytest.mark.parametrize("count", [1, 2])
def test_route_53_fails_over_between_as_many_routers_as_there_are(run_dns: RunDns, count: int) -> None:
    recording = run_dns(Cloud.AWS, dict(list(ADDRESSES.items())[:count]))
    assert answered(recording, set()) == "aws"
    assert answered(recording, {"aws"}) == ("aws" if count == 1 else "gcp")
    assert len(recording.of_type(CHECK)) == count


def test_route_53_records_change_in_place_when_a_site_goes(run_dns: RunDns) -> None:
    def places(recording: Recording) -> dict[str, tuple[str, str]]:
        return {
            one.name: (one.inputs["name"], one.inputs["setIdentifier"])
            for one in recording.of_type(RECORD)
            if "setIdentifier" in one.inputs
        }

    three, two = places(run_dns(Cloud.AWS)), places(run_dns(Cloud.AWS, dict(list(ADDRESSES.items())[:2])))
    assert two.items() < three.items()


def test_route_53_checks_every_router_as_it_is_reached(run_dns: RunDns) -> None:
    recording = run_dns(Cloud.AWS, NAMES)
    checks = {one.name: one.inputs for one in recording.of_type(CHECK)}
    assert {check["resourcePath"] for check in checks.values()} == {"/routerz"}
    assert {(check["requestInterval"], check["failureThreshold"]) for check in checks.values()} == {(10, 3)}
    assert {(check["type"], check["port"]) for check in checks.values()} == {("HTTPS", 443)}
    assert "ipAddress" not in checks["dns-aws-check"]
    assert checks["dns-aws-check"]["fqdn"] == "lb.example.net"
    assert checks["dns-gcp-check"]["ipAddress"] == "192.0.2.2"
    simple = {name: one[""] for name, one in records(recording).items() if "" in one}
    assert {name: (one["type"], one["records"]) for name, one in simple.items()} == {
        "aws.models.example.com": ("CNAME", ["lb.example.net"]),
        "gcp.models.example.com": ("A", ["192.0.2.2"]),
        "azure.models.example.com": ("A", ["192.0.2.3"]),
    }


def test_cloud_dns_answers_the_first_and_else_the_others(run_dns: RunDns) -> None:
    recording = run_dns(Cloud.GCP)
    record = recording.the("gcp:dns/recordSet:RecordSet").inputs
    assert (record["name"], record["type"], record["managedZone"]) == ("models.example.com.", "A", "example-com")
    policy = record["routingPolicy"]
    assert policy["primaryBackup"]["primary"]["externalEndpoints"] == ["192.0.2.3"]
    (backup,) = policy["primaryBackup"]["backupGeos"]
    assert backup["healthCheckedTargets"]["externalEndpoints"] == ["192.0.2.1", "192.0.2.2"]
    assert recording.the("gcp:dns/recordSet:RecordSet").delete_before_replace
    check = recording.the("gcp:compute/healthCheck:HealthCheck").inputs
    assert check["checkIntervalSec"] >= 30
    assert len(check["sourceRegions"]) == 3
    assert (check["httpHealthCheck"]["port"], check["httpHealthCheck"]["requestPath"]) == (8080, "/routerz")


def test_cloud_dns_holds_one_router_without_a_policy(run_dns: RunDns) -> None:
    record = run_dns(Cloud.GCP, {"gcp": "http://[2001:db8::1]:8080"}).the("gcp:dns/recordSet:RecordSet").inputs
    assert (record["type"], record["rrdatas"]) == ("AAAA", ["2001:db8::1"])
    assert "routingPolicy" not in record


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"aws": "http://lb.example.net:8080"}, "addresses only, but the router of aws is reached by a name"),
        ({"aws": "http://[2001:db8::1]:8080"}, "the routers have A and AAAA"),
        (
            {"aws": "http://192.0.2.1:8081"},
            "one scheme and port, but the router of azure is reached by http on 8080",
        ),
    ],
)
def test_cloud_dns_refuses_what_it_cannot_check(run_dns: RunDns, changes: dict[str, str], expected: str) -> None:
    with pytest.raises(SpecError, match=expected):
        run_dns(Cloud.GCP, {**ADDRESSES, **changes})


def test_traffic_manager_answers_by_priority(run_dns: RunDns) -> None:
    recording = run_dns(Cloud.AZURE, NAMES)
    profile = recording.the("azure-native:trafficmanager:Profile").inputs
    assert profile["trafficRoutingMethod"] == "Priority"
    endpoints = {one["priority"]: (one["name"], one["target"]) for one in profile["endpoints"]}
    assert endpoints == {1: ("azure", "192.0.2.3"), 2: ("aws", "lb.example.net"), 3: ("gcp", "192.0.2.2")}
    monitor = profile["monitorConfig"]
    assert (monitor["protocol"], monitor["port"], monitor["path"]) == ("HTTPS", 443, "/routerz")
    assert (monitor["intervalInSeconds"], monitor["toleratedNumberOfFailures"]) == (10, 2)
    assert profile["dnsConfig"]["ttl"] == 20
    record = recording.the("azure-native:dns:RecordSet").inputs
    assert (record["relativeRecordSetName"], record["zoneName"], record["ttl"]) == ("models", "example.com", 20)
    assert record["cnameRecord"]["cname"] == f"{profile['dnsConfig']['relativeName']}.trafficmanager.net"


def test_traffic_manager_refuses_routers_on_different_ports(run_dns: RunDns) -> None:
    with pytest.raises(SpecError, match="Traffic Manager asks every router by one scheme and port"):
        run_dns(Cloud.AZURE, {**ADDRESSES, "gcp": "https://192.0.2.2:8080"})


def test_no_router_is_told_with_what_to_do(run_dns: RunDns, cloud: Cloud) -> None:
    with pytest.raises(SpecError, match=r"names no router of longestname1; bring them up with `trihull up"):
        run_dns(cloud, {})


@pytest.mark.parametrize("url", ["192.0.2.1", "ftp://192.0.2.1", "http://", "http://192.0.2.1:port", "http://[::1"])
def test_a_router_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SpecError, match="the router of aws"):
        domain.endpoint(Cloud.AWS, url)


def test_preview_imports_the_sdk_of_the_hosting_cloud_alone(imports: Ask, cloud: Cloud) -> None:
    assert imports({"provider": str(cloud)}, 100) == {"before": [], "after": [SDKS[cloud]]}
