"""The traps of Google Cloud, each by name: what makes a site there behave as on the other clouds.

Each trap is shown to bite: what a site is described as changes when the argument that deals with it does.
"""

import copy
import datetime
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.changes import compared, local, register
from tests.parity.conftest import Run
from tests.parity.mocks import Recording
from tests.parity.tokens import BUCKETS, CLUSTERS, KEYS, POOLS, REGISTRIES
from trihull_infra import environment, provider
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder.recording import Recorder, replaces
from trihull_infra.provider import Properties, Site, capabilities
from trihull_infra.registered import Registered
from trihull_infra.spec.settings import DAYS, UpgradesSpec

CLUSTER, POOL, BUCKET, REGISTRY = (each[Cloud.GCP] for each in (CLUSTERS, POOLS, BUCKETS, REGISTRIES))
KEY, MEMBER = KEYS[Cloud.GCP], "gcp:storage/bucketIAMMember:BucketIAMMember"
SUBNET, SERVICE = "gcp:compute/subnetwork:Subnetwork", "gcp:projects/service:Service"
AUDIT = "gcp:projects/iAMAuditConfig:IAMAuditConfig"
ZONE, LOGS = "gcp:dns/managedZone:ManagedZone", "gcp:logging/projectBucketConfig:ProjectBucketConfig"
LASTING = {"gcp:kms/keyRing:KeyRing": "name", LOGS: "bucketId"}


def described(registered: list[Registered]) -> Properties:
    return provider.load(Cloud.GCP).describe(registered)


def changed(recording: Recording, token: str, path: str, value: Any) -> list[Registered]:
    """Return what was registered with one argument of every resource of a type changed, None for taken away."""
    *above, last = path.split(".")
    result = []
    for one in recording.registered:
        inputs: dict[str, Any] = copy.deepcopy(dict(one.inputs))
        if one.type == token:
            part: Any = inputs
            for step in above:
                part = part[int(step)] if isinstance(part, list) else part.setdefault(step, {})
            part.pop(last, None) if value is None else part.update({last: value})
        result.append(Registered(one.type, one.name, inputs))
    return result


# What is changed -> the property that says so.
BITES = [
    (CLUSTER, "location", "us-east1-b", "control_plane_guaranteed"),
    (CLUSTER, "datapathProvider", "LEGACY_DATAPATH", "network_policy_enforced"),
    (CLUSTER, "deletionProtection", False, "deletion_guarded"),
    (CLUSTER, "databaseEncryption", None, "secrets_with_own_key"),
    (CLUSTER, "enableLegacyAbac", True, "api_server_cloud_identities_only"),
    (CLUSTER, "loggingConfig.enableComponents", ["SYSTEM_COMPONENTS"], "control_plane_logged"),
    (CLUSTER, "maintenancePolicy.recurringWindow", None, "control_plane_upgraded_in_window"),
    (CLUSTER, "maintenancePolicy.recurringWindow", None, "nodes_upgraded_in_window"),
    (CLUSTER, "maintenancePolicy.maintenanceExclusions", None, "minor_upgrades_only_by_hand"),
    (CLUSTER, "privateClusterConfig.enablePrivateEndpoint", False, "api_server_private_only"),
    (POOL, "autoscaling", {"totalMinNodeCount": 1, "totalMaxNodeCount": 2}, "pools"),
    (POOL, "nodeConfig.labels", None, "pools"),
    (POOL, "nodeConfig.taints", None, "pools"),
    (POOL, "nodeConfig.spot", None, "pools"),
    (POOL, "nodeConfig.bootDiskKmsKey", None, "node_disks_with_own_key"),
    (POOL, "nodeConfig.serviceAccount", None, "nodes_with_own_identity"),
    (POOL, "nodeConfig.shieldedInstanceConfig.enableSecureBoot", False, "nodes_verified_at_boot"),
    (POOL, "nodeConfig.workloadMetadataConfig.mode", "GCE_METADATA", "node_metadata_guarded"),
    (POOL, "networkConfig.enablePrivateNodes", False, "nodes_private"),
    (BUCKET, "versioning.enabled", False, "bucket_versioned"),
    (BUCKET, "publicAccessPrevention", "inherited", "bucket_private"),
    (BUCKET, "uniformBucketLevelAccess", False, "bucket_identities_only"),
    (BUCKET, "encryption", None, "bucket_with_own_key"),
    (BUCKET, "lifecycleRules", [], "bucket_forgets_old_versions"),
    (REGISTRY, "dockerConfig.immutableTags", False, "registry_tags_immutable"),
    (REGISTRY, "kmsKeyName", None, "registry_with_own_key"),
    (REGISTRY, "cleanupPolicies", None, "registry_forgets_leftovers"),
    (REGISTRY, "vulnerabilityScanningConfig.enablementConfig", "DISABLED", "registry_scans"),
    (SERVICE, "service", "compute.googleapis.com", "registry_scans"),
    (SUBNET, "privateIpGoogleAccess", False, "registry_reached_privately"),
    (SUBNET, "logConfig", None, "connections_logged"),
    (ZONE, "dnsName", "example.com.", "bucket_reached_privately"),
    (AUDIT, "service", "compute.googleapis.com", "bucket_access_logged"),
    (AUDIT, "service", "storage.googleapis.com", "registry_audited"),
    (KEY, "rotationPeriod", None, "keys_rotated_days"),
    (LOGS, "retentionDays", 30, "logs_kept_days"),
    (MEMBER, "condition", None, "serving_reads_releases"),
    (MEMBER, "condition.expression", "true", "serving_writes_captured_data_only"),
    ("gcp:serviceaccount/iAMMember:IAMMember", "member", "allUsers", "registry_named_accounts_only"),
    ("gcp:serviceaccount/iAMMember:IAMMember", "role", "roles/viewer", "workload_identity"),
    ("gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider", "attributeCondition", None, "deployer"),
]


@pytest.mark.parametrize(
    ("token", "path", "value", "told"), BITES, ids=[f"{row[0].rpartition(':')[2]}-{row[1]}-{row[3]}" for row in BITES]
)
def test_what_a_trap_catches_changes_what_a_site_is(run: Run, token: str, path: str, value: Any, told: str) -> None:
    recording = run("site", "longestname1-gcp")
    before = getattr(described(recording.registered), told)
    assert getattr(described(changed(recording, token, path, value)), told) != before


def test_gke_node_counts_are_totals_never_per_zone(run: Run) -> None:
    for pool in run("site", "longestname1-gcp").of_type(POOL):
        assert set(pool.inputs["autoscaling"]) == {"totalMinNodeCount", "totalMaxNodeCount", "locationPolicy"}
        assert "nodeCount" not in pool.inputs


def test_gke_pools_start_with_no_more_nodes_than_they_may_have(run: Run, name: str) -> None:
    for pool in run("site", f"{name}-gcp").of_type(POOL):
        zones, bounds = len(pool.inputs["nodeLocations"]), pool.inputs["autoscaling"]
        first = pool.inputs["initialNodeCount"] * zones  # this one is for each zone
        assert first <= bounds["totalMaxNodeCount"]
        assert first == 0 or bounds["totalMinNodeCount"] > 0, "no accelerator nobody asked for"
        assert first >= bounds["totalMinNodeCount"] or first + zones > bounds["totalMaxNodeCount"]


def test_gke_pools_are_never_inline(run: Run) -> None:
    inputs = run("site", "local-gcp").the(CLUSTER).inputs
    assert inputs["removeDefaultNodePool"] is True
    assert "nodePools" not in inputs
    assert "nodeConfig" not in inputs


def test_gke_scales_pools_and_measures_pods_itself(run: Run) -> None:
    assert not capabilities(Cloud.GCP).node_autoscaler
    assert "addonsConfig" not in run("site", "local-gcp").the(CLUSTER).inputs, "nothing built in is switched off"


def test_gke_guard_is_off_where_the_environment_says_so(run: Run) -> None:
    assert run("site", "local-gcp").the(CLUSTER).inputs["deletionProtection"] is False
    assert run("site", "longestname1-gcp").the(CLUSTER).inputs["deletionProtection"] is True


def test_gke_spot_nodes_have_our_taint_as_gke_gives_them_none(run: Run) -> None:
    assert not capabilities(Cloud.GCP).spot_taints
    for pool in run("site", "longestname1-gcp").of_type(POOL):
        taints = [taint["key"] for taint in pool.inputs["nodeConfig"].get("taints", ())]
        assert ("trihull.internal/spot" in taints) == (pool.inputs["nodeConfig"]["spot"] is True)


def test_gke_taints_accelerators_itself_and_brings_their_driver(run: Run) -> None:
    assert capabilities(Cloud.GCP).accelerator_taints == {"nvidia.com/gpu": "present"}
    assert not capabilities(Cloud.GCP).device_plugin
    pool = run("site", "longestname1-gcp").the(POOL, "pools-accelerator").inputs["nodeConfig"]
    (device,) = pool["guestAccelerators"]
    assert (device["type"], device["count"]) == ("nvidia-tesla-t4", 1)
    assert device["gpuDriverInstallationConfig"] == {"gpuDriverVersion": "DEFAULT"}
    assert "nvidia.com/gpu" not in str(pool["taints"]), "one of GKE's own would be there twice"


def test_gke_system_pool_takes_gkes_own_pods_and_no_others(run: Run) -> None:
    pool = run("site", "longestname1-gcp").the(POOL, "pools-system").inputs["nodeConfig"]
    assert pool["labels"] == {"trihull.internal/pool": "system"}
    assert [taint["key"] for taint in pool["taints"]] == ["components.gke.io/gke-managed-components"]


def test_arm_nodes_have_a_disk_they_can_have_and_no_taint_of_gkes(run: Run) -> None:
    for pool in run("site", "given-gcp").of_type(POOL):
        assert pool.inputs["nodeConfig"]["machineType"].startswith("c4a-")
        assert pool.inputs["nodeConfig"]["diskType"] == "hyperdisk-balanced"
        assert pool.inputs["nodeConfig"]["taintConfig"] == {"architectureTaintBehavior": "NONE"}
    for pool in run("site", "local-gcp").of_type(POOL):
        assert pool.inputs["nodeConfig"]["diskType"] == "pd-balanced"
        assert "taintConfig" not in pool.inputs["nodeConfig"]


def test_workloads_act_as_an_account_by_a_member_string(run: Run) -> None:
    found = run("site", "local-gcp").the("gcp:serviceaccount/iAMMember:IAMMember", "identity-serving-association")
    assert found.inputs["member"] == "serviceAccount:trihull-local.svc.id.goog[trihull/trihull-serving]"


@pytest.mark.parametrize("hours", [4, 5, 12, 24])
@pytest.mark.parametrize("count", range(1, 8))
def test_gke_takes_every_window_that_an_environment_may_ask_for(projects: Path, count: int, hours: int) -> None:
    """GKE wants 48 hours in any 32 days, in pieces of at least four; less is refused when the cluster is made."""
    from trihull_infra.providers.gcp.cluster import maintenance  # not before its SDK's warnings are let pass

    spec = environment.load("local", projects / "environments")
    days = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
    for chosen in itertools.combinations(DAYS, count):
        upgrades = UpgradesSpec.model_validate({"days": chosen, "hours": hours, "start_utc": "23:30"})
        asked = spec.model_copy(update={"upgrades": upgrades})
        window: Any = maintenance(Site(asked, Cloud.GCP)).recurring_window
        start, end = (datetime.datetime.fromisoformat(str(at)) for at in (window.start_time, window.end_time))
        open_hours = (end - start).total_seconds() / 3600
        named = window.recurrence.removeprefix("FREQ=WEEKLY;BYDAY=").split(",")
        assert named == [short for day, short in zip(DAYS, days, strict=True) if day in chosen]
        assert hours <= open_hours <= 24
        for first in range(7):
            begun = sum(days[(first + day) % 7] in named for day in range(32))
            assert begun * open_hours >= 48


def test_minor_versions_come_by_the_environment_and_reach_the_nodes(run: Run) -> None:
    for name, channel in (("local", "REGULAR"), ("longestname1", "EXTENDED")):
        recording = run("site", f"{name}-gcp")
        inputs = recording.the(CLUSTER).inputs
        assert inputs["releaseChannel"] == {"channel": channel}
        (exclusion,) = inputs["maintenancePolicy"]["maintenanceExclusions"]
        assert exclusion["exclusionOptions"] == {
            "scope": "NO_MINOR_UPGRADES",
            "endTimeBehavior": "UNTIL_END_OF_SUPPORT",
        }
        assert {pool.inputs["version"] for pool in recording.of_type(POOL)} == {inputs["minMasterVersion"]}
    assert not any("version" in pool.inputs for pool in run("site", "given-gcp").of_type(POOL))


def test_each_key_is_used_by_the_service_of_its_purpose(run: Run) -> None:
    users = {
        one.inputs["cryptoKeyId"].rpartition("/")[2]: one.inputs["member"].partition("@")[2].partition(".")[0]
        for one in run("site", "local-gcp").of_type("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember")
    }
    assert users == {
        "secrets": "container-engine-robot",
        "images": "gcp-sa-artifactregistry",
        "data": "gs-project-accounts",
        "disks": "compute-system",
        "logs": "gcp-sa-logging",
    }


def test_an_existing_key_serves_every_purpose(run: Run) -> None:
    recording = run("site", "given-gcp")
    key = "projects/key-project/locations/europe-west1/keyRings/shared/cryptoKeys/models"
    assert {pool.inputs["nodeConfig"]["bootDiskKmsKey"] for pool in recording.of_type(POOL)} == {key}
    assert recording.the(BUCKET).inputs["encryption"] == {"defaultKmsKeyName": key}
    assert recording.the(LOGS).inputs["cmekSettings"] == {"kmsKeyName": key}


def test_an_existing_shared_network_is_named_by_its_host_project(run: Run) -> None:
    recording = run("site", "given-gcp")
    assert not {ZONE, SUBNET, "gcp:compute/router:Router"} & {one.type for one in recording.resources}
    sink = recording.the("gcp:logging/projectSink:ProjectSink").inputs["filter"]
    assert 'subnetwork_name="models"' in sink


def test_ci_is_let_in_as_one_subject_of_one_issuer(run: Run) -> None:
    recording = run("site", "longestname1-gcp")
    trusted = recording.the("gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider").inputs
    assert trusted["attributeCondition"] == 'assertion.sub == "repo:acme/models:environment:prod"'
    assert trusted["oidc"] == {"issuerUri": "https://token.actions.githubusercontent.com"}
    member = recording.the("gcp:serviceaccount/iAMMember:IAMMember", "identity-ci-association").inputs["member"]
    assert member.endswith("/workloadIdentityPools/trihull-longestname1/subject/repo:acme/models:environment:prod")
    assert recording.exports["deployer"] == {
        "workload_identity_provider": (
            "projects/100000000001/locations/global/workloadIdentityPools/trihull-longestname1/providers/ci"
        ),
        "service_account": "trihull-longestname1-ci@some-project.iam.gserviceaccount.com",
    }


def test_no_account_has_a_key_and_none_an_owners_role(run: Run, name: str) -> None:
    resources = run("site", f"{name}-gcp").resources
    assert not [one.type for one in resources if one.type.startswith("gcp:serviceaccount/key:")]
    roles = {one.inputs["role"] for one in resources if "role" in one.inputs}
    assert not roles & {"roles/owner", "roles/editor", "roles/viewer", "roles/storage.admin"}


def test_names_that_google_cloud_keeps_can_be_told_apart_and_never_change_what_is_there() -> None:
    """A destroyed site's key ring is there for ever; the one that is made after it has another name."""
    again = local()
    again["clouds"]["gcp"]["generation"] = 3
    first, second = register(local(), Cloud.GCP), register(again, Cloud.GCP)
    for token, argument in LASTING.items():
        assert (first.the(token).inputs[argument], second.the(token).inputs[argument]) == (
            "trihull-local",
            "trihull-local-3",
        )
        assert Recorder("gcp").difference(token, first.the(token).inputs, second.the(token).inputs).replaces
        assert argument in second.the(token).ignore_changes
    planned = compared(first, register(again, Cloud.GCP, before=first))
    assert not [told for told in planned.values() if told.startswith(("replace", "delete"))]


def test_what_google_cloud_fixes_at_creation_is_ignored_afterwards(run: Run) -> None:
    recording = run("site", "longestname1-gcp")
    for token, path in ((REGISTRY, "kmsKeyName"), (POOL, "nodeConfig.bootDiskKmsKey"), (LOGS, "cmekSettings")):
        for one in recording.of_type(token):
            assert path in one.ignore_changes
            assert token == LOGS or path in replaces(token), "that is what would make it anew"


def test_secrets_are_decrypted_before_their_key_goes() -> None:
    cloudly = local()
    cloudly["keys"] = {"own": False}
    assert register(cloudly, Cloud.GCP).the(CLUSTER).inputs["databaseEncryption"] == {"state": "DECRYPTED"}


def test_gke_is_reached_by_its_dns_name_only_where_that_is_asked_for(run: Run) -> None:
    """By name there is no authority to know, and CI needs no way into the network; by address both."""

    def server(name: str) -> str:
        config = json.loads(mocks.opened(run("site", f"{name}-gcp").exports["kubeconfig"]))
        return str(config["clusters"][0]["cluster"]["server"])

    assert re.fullmatch(r"https://gke-[0-9a-f]{32}-[0-9]+\.us-east1\.gke\.goog", server("longestname1"))
    assert re.fullmatch(r"https://[0-9.]+", server("local"))
