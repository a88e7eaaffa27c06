"""Azure's answers, from a local server that speaks the documented shapes; no subscription was ever asked."""

import base64
import json
from typing import Any

import azure.core.exceptions
import azure.identity
import pytest
import requests
import yaml

from tests.unit.infra.doctor.conftest import WRITTEN, Api, Asking, only, statuses
from trihull_infra.cloud import Cloud
from trihull_infra.doctor import azure as doctor
from trihull_infra.doctor.findings import Status
from trihull_infra.doctor.rest import RestError

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
COMPUTE = f"{SUBSCRIPTION}/providers/Microsoft.Compute/locations/eastus/usages"
NETWORK = f"{SUBSCRIPTION}/providers/Microsoft.Network/locations/eastus/usages"
SKUS = f"{SUBSCRIPTION}/providers/Microsoft.Compute/skus"
FEATURE = f"{SUBSCRIPTION}/providers/Microsoft.Features/providers/Microsoft.Compute/features/EncryptionAtHost"
VERSIONS = f"{SUBSCRIPTION}/providers/Microsoft.ContainerService/locations/eastus/kubernetesVersions"
CLUSTER = (
    f"{SUBSCRIPTION}/resourceGroups/trihull-longestname1/providers/Microsoft.ContainerService"
    "/managedClusters/trihull-longestname1"
)
ADMINISTRATOR = "00000000-0000-0000-0000-00000000000a"
SIZES = {
    "Standard_D4s_v5": "standardDSv5Family",
    "Standard_D8s_v5": "standardDSv5Family",
    "Standard_NC4as_T4_v3": "Standard NCASv3_T4 Family",
    "Standard_NC8as_T4_v3": "Standard NCASv3_T4 Family",
}


def token(**claims: str) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{body}.c2lnbmF0dXJl"


def usages(api: Api, path: str, limits: dict[str, int], used: int = 0) -> None:
    value = [{"name": {"value": name}, "limit": limit, "currentValue": used} for name, limit in limits.items()]
    api.gives(path, {"value": value})


def sku(name: str, family: str, **changes: Any) -> dict[str, Any]:
    location = [{"location": "eastus", "zones": ["1", "2", "3"]}]
    return {"resourceType": "virtualMachines", "name": name, "family": family, "locationInfo": location, **changes}


@pytest.fixture
def subscription(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """A login that administers, and a subscription with room for everything."""
    monkeypatch.setattr(doctor, "_base", lambda: api.url)
    monkeypatch.setattr(doctor, "_token", lambda: token(oid=ADMINISTRATOR, upn="me@example.com", tid="tenant"))
    api.gives(SUBSCRIPTION, {"displayName": "Models", "state": "Enabled"})
    registered = [{"namespace": name, "registrationState": "Registered"} for name in doctor.PROVIDERS]
    api.gives(f"{SUBSCRIPTION}/providers", {"value": registered})
    api.gives(FEATURE, {"properties": {"state": "Registered"}})
    families = {"standardDSv5Family": 100, "standard ncasv3_t4 family": 48}
    usages(api, COMPUTE, {"cores": 200, "lowPriorityCores": 100, **families})
    usages(api, NETWORK, {"PublicIPAddresses": 10})
    api.gives(SKUS, {"value": [sku(name, family) for name, family in SIZES.items()]})
    return api


def test_the_login_is_named_and_its_token_is_not(subscription: Api, asked: Asking) -> None:
    found = only(doctor.credentials(asked(Cloud.AZURE)))
    assert (found.status, found.seen) == (
        Status.OK,
        "me@example.com in Models (11111111-1111-1111-1111-111111111111)",
    )
    sent = subscription.requests[0]
    assert sent[3]["Authorization"].startswith("Bearer eyJ")
    assert sent[2] == {"api-version": "2020-01-01"}


@pytest.mark.parametrize("status", [403, 404])
def test_a_subscription_of_another_tenant_is_not_reached(subscription: Api, asked: Asking, status: int) -> None:
    subscription.gives(SUBSCRIPTION, {"error": {"code": "SubscriptionNotFound", "message": "none"}}, status)
    found = only(doctor.credentials(asked(Cloud.AZURE)))
    assert found.status is Status.FAILED
    assert "tenant tenant" in found.seen
    assert "az login --tenant" in found.do


def test_a_subscription_that_is_off_and_a_login_that_does_not_administer_are_told(
    subscription: Api, asked: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription.gives(SUBSCRIPTION, {"displayName": "Models", "state": "Disabled"})
    assert only(doctor.credentials(asked(Cloud.AZURE))).status is Status.FAILED
    subscription.gives(SUBSCRIPTION, {"displayName": "Models", "state": "Enabled"})
    monkeypatch.setattr(doctor, "_token", lambda: token(oid="other", appid="app"))
    assert statuses(doctor.credentials(asked(Cloud.AZURE))) == [Status.OK, Status.WARNING]
    monkeypatch.setattr(doctor, "_token", lambda: "no token at all")
    assert statuses(doctor.credentials(asked(Cloud.AZURE))) == [Status.OK, Status.WARNING]


def test_providers_and_the_feature_must_be_registered(subscription: Api, asked: Asking) -> None:
    assert statuses(doctor.apis(asked(Cloud.AZURE))) == [Status.OK, Status.OK]
    value = [{"namespace": "microsoft.compute", "registrationState": "Registered"}]
    following = f"{subscription.url}{SUBSCRIPTION}/providers/2"
    subscription.gives(f"{SUBSCRIPTION}/providers", {"value": value, "nextLink": following})
    rest = [{"namespace": one, "registrationState": "Registered"} for one in doctor.PROVIDERS[2:]]
    subscription.gives(f"{SUBSCRIPTION}/providers/2", {"value": rest})
    subscription.gives(FEATURE, {"properties": {"state": "NotRegistered"}})
    found = doctor.apis(asked(Cloud.AZURE))
    assert statuses(found) == [Status.FAILED, Status.FAILED]
    assert found[0].do == "`az provider register --namespace Microsoft.Authorization`"
    assert "az feature register" in found[1].do


def test_a_next_page_at_another_address_is_never_given_the_token(subscription: Api, asked: Asking) -> None:
    subscription.gives(f"{SUBSCRIPTION}/providers", {"value": [], "nextLink": "https://elsewhere.example/x"})
    with pytest.raises(RestError, match="another address: elsewhere"):
        doctor.apis(asked(Cloud.AZURE))


def test_there_is_room_and_spot_has_a_quota_of_its_own(subscription: Api, asked: Asking) -> None:
    found = doctor.quotas(asked(Cloud.AZURE))
    assert statuses(found) == [Status.OK] * len(found)
    seen = "\n".join(one.seen for one in found)
    assert "standardDSv5Family (eastus): needs 88, 100 of 100 free" in seen
    assert "lowPriorityCores (eastus): needs" in seen
    assert "PublicIPAddresses (eastus): needs 1, 10 of 10 free" in seen
    assert "cores (eastus): needs" in seen


def test_what_is_missing_fails_and_what_is_not_told_is_not_guessed(subscription: Api, asked: Asking) -> None:
    usages(subscription, COMPUTE, {"cores": 200, "standardDSv5Family": 10})
    usages(subscription, NETWORK, {})
    found = doctor.quotas(asked(Cloud.AZURE))
    told = {one.seen.partition(" ")[0]: one.status for one in found}
    assert told["standardDSv5Family"] is Status.FAILED
    assert told["lowPriorityCores"] is Status.NOT_ASKED
    assert told["IPv4StandardSkuPublicIpAddresses"] is Status.NOT_ASKED
    subscription.gives(SKUS, {"value": []})
    assert Status.NOT_ASKED in statuses(doctor.quotas(asked(Cloud.AZURE)))


@pytest.mark.parametrize(
    ("restrictions", "status"),
    [
        ([], Status.OK),
        ([{"type": "Zone", "values": ["eastus"], "restrictionInfo": {"zones": ["3"]}}], Status.WARNING),
        ([{"type": "Zone", "values": ["eastus"], "restrictionInfo": {"zones": ["1", "2", "3"]}}], Status.FAILED),
        ([{"type": "Location", "values": ["eastus"]}], Status.FAILED),
        ([{"type": "Location", "values": ["westus"]}], Status.OK),
    ],
)
def test_sizes_that_the_subscription_may_not_use_are_told(
    subscription: Api, asked: Asking, restrictions: list[Any], status: Status
) -> None:
    value = [sku(name, family, restrictions=restrictions) for name, family in SIZES.items()]
    subscription.gives(SKUS, {"value": value})
    assert set(statuses(doctor.offers(asked(Cloud.AZURE)))) == {status}
    assert [one for one in subscription.requests if one[2].get("$filter") == "location eq 'eastus'"]


def test_who_hands_out_accelerators_is_told_where_it_is_not_ours(subscription: Api, asked: Asking) -> None:
    assert Status.NOT_ASKED not in statuses(doctor.offers(asked(Cloud.AZURE)))
    clouds = yaml.safe_load(WRITTEN.read_text())["clouds"]
    clouds["azure"]["device_plugin"] = "external"
    *_, told = doctor.offers(asked(Cloud.AZURE, clouds=clouds))
    assert told.status is Status.NOT_ASKED
    assert "device_plugin: external" in told.seen
    assert "kubectl get nodes -l trihull.internal/accelerator" in told.do
    assert r".status.allocatable.nvidia\.com/gpu" in told.do


@pytest.mark.parametrize(
    ("plans", "support", "status"),
    [
        (["KubernetesOfficial"], "standard", Status.OK),
        (["AKSLongTermSupport"], "standard", Status.FAILED),
        (["AKSLongTermSupport"], "extended", Status.OK),
        ([], "standard", Status.FAILED),
    ],
)
def test_a_version_must_be_under_the_plan(
    subscription: Api, asked: Asking, plans: list[str], support: str, status: Status
) -> None:
    value = [{"version": "1.33", "capabilities": {"supportPlan": plans}}, {"version": "1.35", "isPreview": True}]
    subscription.gives(VERSIONS, {"values": value})
    assert only(doctor.versions(asked(Cloud.AZURE, upgrades={"support": support}))).status is status


def test_a_cluster_is_found_by_its_name(subscription: Api, asked: Asking) -> None:
    assert doctor.cluster(asked(Cloud.AZURE)) is None
    subscription.gives(CLUSTER, {"properties": {"privateFQDN": "x.private.eastus.azmk8s.io"}})
    found = doctor.cluster(asked(Cloud.AZURE))
    assert found is not None
    assert (found.host, found.port, found.ca_pem) == ("x.private.eastus.azmk8s.io", 443, None)


@pytest.mark.parametrize(
    ("error", "status", "seen"),
    [
        (azure.identity.CredentialUnavailableError("nobody"), Status.FAILED, "no credentials"),
        (azure.core.exceptions.ClientAuthenticationError("AADSTS700016"), Status.FAILED, "no credentials"),
        (azure.core.exceptions.ServiceRequestError("no route"), Status.FAILED, "not reached"),
        (requests.ConnectTimeout("late"), Status.FAILED, "not reached"),
        (RestError(401, "ExpiredAuthenticationToken", "expired"), Status.FAILED, "refuses the credentials"),
        (RestError(403, "AuthorizationFailed", "no"), Status.WARNING, "not allowed"),
        (RestError(404, "InvalidResourceNamespace", "no"), Status.FAILED, "not there"),
        (RestError(500, "", "no"), Status.FAILED, "500"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_says_what_to_do(error: Exception, status: Status, seen: str) -> None:
    found = doctor.problem(error)
    assert (found.status, seen in found.seen, bool(found.do)) == (status, True, True)


def test_an_answer_that_is_no_json_is_an_error(subscription: Api, asked: Asking) -> None:
    subscription.gives(SUBSCRIPTION, "<html>a proxy's page</html>")
    with pytest.raises(RestError, match="no JSON"):
        doctor.credentials(asked(Cloud.AZURE))
    subscription.gives(SUBSCRIPTION, "<html>a proxy's page</html>", 502)
    with pytest.raises(RestError, match="502"):
        doctor.credentials(asked(Cloud.AZURE))
