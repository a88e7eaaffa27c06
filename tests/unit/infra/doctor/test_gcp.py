"""Google Cloud's answers, from a local server that speaks the documented shapes; no project was ever asked."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google.auth.exceptions
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.unit.infra.doctor.conftest import Api, Asking, only, statuses
from trihull_infra.cloud import Cloud
from trihull_infra.doctor import gcp
from trihull_infra.doctor.findings import Status
from trihull_infra.doctor.rest import RestError

PROJECT = "some-project"
REGION = f"/compute/v1/projects/{PROJECT}/regions/us-east1"
WHOLE = f"/compute/v1/projects/{PROJECT}"
CLUSTER = f"/v1/projects/{PROJECT}/locations/us-east1/clusters/trihull-longestname1"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
TransportError: Any = google.auth.exceptions.TransportError  # google-auth types little
TOKEN = "ya29.never-to-be-printed"


@pytest.fixture
def project(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Api:
    """A service account's key, whose token the server gives out, and a project with room for everything."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "client_email": "deployer@some-project.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "token_uri": f"{api.url}/token",
        "project_id": PROJECT,
    }
    (tmp_path / "key.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.setattr(gcp, "_base", lambda _api: api.url)
    api.gives("/token", {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
    api.gives(f"/v1/projects/{PROJECT}:testIamPermissions", {"permissions": list(gcp.PERMISSIONS)})
    enabled = [{"name": f"projects/1/services/{one}.googleapis.com", "state": "ENABLED"} for one in gcp.APIS]
    api.gives(f"/v1/projects/{PROJECT}/services:batchGet", {"services": enabled})
    regional = {"N2_CPUS": 200, "CPUS": 200, "PREEMPTIBLE_CPUS": 0, "NVIDIA_T4_GPUS": 6, "IN_USE_ADDRESSES": 8}
    limit(api, REGION, regional)
    limit(api, WHOLE, {"CPUS_ALL_REGIONS": 500, "GPUS_ALL_REGIONS": 8, "NETWORKS": 5, "ROUTERS": 5})
    return api


def limit(api: Api, path: str, quotas: Mapping[str, float], usage: float = 0) -> None:
    api.gives(path, {"quotas": [{"metric": name, "limit": value, "usage": usage} for name, value in quotas.items()]})


def test_credentials_are_named_without_their_token(project: Api, asked: Asking) -> None:
    found = only(gcp.credentials(asked(Cloud.GCP)))
    assert found.status is Status.OK
    assert "deployer@some-project.iam.gserviceaccount.com" in found.seen
    assert TOKEN not in found.seen
    (sent,) = [one for one in project.requests if one[1].endswith(":testIamPermissions")]
    assert sent[0] == "POST"
    assert sent[4] == {"permissions": list(gcp.PERMISSIONS)}
    assert sent[3]["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(("had", "said"), [(gcp.PERMISSIONS[1:], "lacks artifactregistry"), ((), "may do nothing")])
def test_permissions_that_are_missing_are_named(project: Api, asked: Asking, had: Any, said: str) -> None:
    project.gives(f"/v1/projects/{PROJECT}:testIamPermissions", {"permissions": list(had)})
    found = only(gcp.credentials(asked(Cloud.GCP)))
    assert (found.status, said in found.seen) == (Status.FAILED, True)


def test_apis_that_are_off_are_named_with_the_command(project: Api, asked: Asking) -> None:
    assert only(gcp.apis(asked(Cloud.GCP))).status is Status.OK
    project.gives(f"/v1/projects/{PROJECT}/services:batchGet", {"services": []})
    found = only(gcp.apis(asked(Cloud.GCP)))
    assert found.status is Status.WARNING
    assert f"gcloud services enable --project {PROJECT}" in found.do
    assert len(gcp.APIS) <= 30  # the API's own limit


def test_there_is_room_and_spot_counts_with_the_others_where_it_has_no_quota(project: Api, asked: Asking) -> None:
    found = gcp.quotas(asked(Cloud.GCP))
    assert statuses(found) == [Status.OK] * len(found)
    seen = "\n".join(one.seen for one in found)
    assert "N2_CPUS of us-east1: needs 120" in seen  # 4 x 4 and 9 x 8 on demand, 4 x 8 spot
    assert "NVIDIA_T4_GPUS of us-east1: needs 6" in seen
    assert "GPUS_ALL_REGIONS of the project: needs 6" in seen
    limit(project, REGION, {"N2_CPUS": 200, "CPUS": 99, "PREEMPTIBLE_CPUS": 99, "NVIDIA_T4_GPUS": 6})
    apart = "\n".join(one.seen for one in gcp.quotas(asked(Cloud.GCP)))
    assert "N2_CPUS of us-east1: needs 88" in apart
    assert "PREEMPTIBLE_CPUS of us-east1: needs" in apart


def test_a_quota_that_is_too_small_fails_and_one_that_is_not_published_is_not_guessed(
    project: Api, asked: Asking
) -> None:
    limit(project, REGION, {"N2_CPUS": 24, "CPUS": 200, "IN_USE_ADDRESSES": 8})
    found = {one.seen.partition(" ")[0]: one for one in gcp.quotas(asked(Cloud.GCP))}
    assert found["N2_CPUS"].status is Status.FAILED
    assert f"quotas?project={PROJECT}" in found["N2_CPUS"].do
    assert found["NVIDIA_T4_GPUS"].status is Status.NOT_ASKED
    assert "6 are needed" in found["NVIDIA_T4_GPUS"].seen


def test_use_of_a_site_that_is_up_may_be_its_own(project: Api, asked: Asking) -> None:
    limit(project, REGION, {"N2_CPUS": 200}, usage=150)
    before = {one.seen.partition(" ")[0]: one.status for one in gcp.quotas(asked(Cloud.GCP))}
    project.gives(CLUSTER, {"endpoint": "192.0.2.1"})
    after = {one.seen.partition(" ")[0]: one.status for one in gcp.quotas(asked(Cloud.GCP))}
    assert (before["N2_CPUS"], after["N2_CPUS"]) == (Status.FAILED, Status.WARNING)


@pytest.mark.parametrize(
    ("zones", "status"), [(["b", "c", "d"], Status.OK), (["b"], Status.WARNING), ([], Status.FAILED)]
)
def test_types_are_looked_for_in_each_zone(project: Api, asked: Asking, zones: list[str], status: Status) -> None:
    for zone in zones:
        for kind, name in (
            ("machineTypes", "n2-standard-4"),
            ("machineTypes", "n2-standard-8"),
            ("machineTypes", "n1-standard-4"),
            ("machineTypes", "n1-standard-8"),
            ("acceleratorTypes", "nvidia-tesla-t4"),
        ):
            project.gives(f"{WHOLE}/zones/us-east1-{zone}/{kind}/{name}", {"name": name})
    found = gcp.offers(asked(Cloud.GCP))
    assert len(found) == 4
    assert set(statuses(found)) == {status}


def test_a_version_must_be_one_that_gke_has(project: Api, asked: Asking) -> None:
    path = f"/v1/projects/{PROJECT}/locations/us-east1/serverConfig"
    project.gives(path, {"validMasterVersions": ["1.34.1-gke.100", "1.33.5-gke.2", "1.33.4-gke.9"]})
    assert only(gcp.versions(asked(Cloud.GCP))).status is Status.OK
    found = only(gcp.versions(asked(Cloud.GCP, kubernetes_version="1.31")))
    assert (found.status, "it has 1.33, 1.34" in found.seen) == (Status.FAILED, True)


def test_the_cluster_is_reached_by_its_name_where_that_is_asked_for(project: Api, asked: Asking) -> None:
    assert gcp.cluster(asked(Cloud.GCP)) is None
    by_name = {"endpoint": "gke-1.us-east1.gke.goog", "allowExternalTraffic": True}
    ca = base64.b64encode(PEM.encode()).decode()
    document = {
        "endpoint": "192.0.2.1",
        "masterAuth": {"clusterCaCertificate": ca},
        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": by_name},
    }
    project.gives(CLUSTER, document)
    found = gcp.cluster(asked(Cloud.GCP))
    assert found is not None
    assert (found.host, found.ca_pem) == ("gke-1.us-east1.gke.goog", None)
    by_name["allowExternalTraffic"] = False
    found = gcp.cluster(asked(Cloud.GCP))
    assert found is not None
    assert (found.host, found.ca_pem) == ("192.0.2.1", PEM)


def disabled() -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]
    return {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "API is off", "details": details}}


def test_an_api_that_is_off_is_told_from_a_permission_that_is_missing(project: Api, asked: Asking) -> None:
    project.gives(REGION, disabled(), 403)
    with pytest.raises(RestError) as caught:
        gcp.quotas(asked(Cloud.GCP))
    assert gcp.problem(caught.value).status is Status.NOT_ASKED
    project.gives(REGION, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}}, 403)
    with pytest.raises(RestError) as caught:
        gcp.quotas(asked(Cloud.GCP))
    assert gcp.problem(caught.value).status is Status.WARNING


def test_a_key_that_the_token_service_refuses_is_no_credentials(project: Api, asked: Asking) -> None:
    project.gives("/token", {"error": "invalid_grant", "error_description": "Invalid JWT"}, 400)
    with pytest.raises(google.auth.exceptions.RefreshError) as caught:
        gcp.credentials(asked(Cloud.GCP))
    found = gcp.problem(caught.value)
    assert (found.status, "no credentials" in found.seen) == (Status.FAILED, True)
    assert "PRIVATE KEY" not in found.seen


def test_no_credentials_and_broken_ones_say_how_to_log_in(
    asked: Asking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for content in (None, "no json", '{"type": "service_account"}'):
        path = tmp_path / "broken.json"
        if content is not None:
            path.write_text(content)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        with pytest.raises(google.auth.exceptions.GoogleAuthError) as caught:
            gcp.credentials(asked(Cloud.GCP))
        found = gcp.problem(caught.value)
        assert (found.status, "gcloud auth application-default login" in found.do) == (Status.FAILED, True)


@pytest.mark.parametrize(
    ("error", "status", "seen"),
    [
        (requests.ConnectionError("refused"), Status.FAILED, "not reached"),
        (requests.ReadTimeout("late"), Status.FAILED, "not reached"),
        (TransportError("no route"), Status.FAILED, "not reached"),
        (RestError(401, "UNAUTHENTICATED", "expired"), Status.FAILED, "refuses the credentials"),
        (RestError(404, "NOT_FOUND", "no project"), Status.FAILED, "not there"),
        (RestError(503, "UNAVAILABLE", "later"), Status.FAILED, "503"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_says_what_to_do(error: Exception, status: Status, seen: str) -> None:
    found = gcp.problem(error)
    assert (found.status, seen in found.seen, bool(found.do)) == (status, True, True)
