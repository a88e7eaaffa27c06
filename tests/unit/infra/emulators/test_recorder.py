import threading
from pathlib import Path
from typing import Any

import pytest

from trihull_infra.emulators import guards
from trihull_infra.emulators.plugins.provider import Naming, RefusedError, Urn
from trihull_infra.emulators.plugins.values import UNKNOWN, Secret
from trihull_infra.emulators.recorder import identities
from trihull_infra.emulators.recorder.answers import Answer, Place, Request
from trihull_infra.emulators.recorder.checks import check
from trihull_infra.emulators.recorder.clouds import CLOUDS, aws, azure
from trihull_infra.emulators.recorder.facts import facts, unversioned
from trihull_infra.emulators.recorder.recording import Recorder, replaces
from trihull_infra.errors import EmulatorError

ACCOUNT_INPUTS = {"resourceGroupName": "rg", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
CLUSTERS: dict[str, dict[str, Any]] = {
    "aws:eks/cluster:Cluster": {"name": "site", "roleArn": "arn", "vpcConfig": {"subnetIds": []}},
    "gcp:container/cluster:Cluster": {"name": "site", "location": "europe-west4"},
    "azure-native:containerservice:ManagedCluster": {"resourceName": "site", "resourceGroupName": "rg"},
}
REGISTRIES: dict[str, tuple[dict[str, Any], str]] = {
    "aws:ecr/repository:Repository": ({"name": "a/images"}, "repositoryUrl"),
    "gcp:artifactregistry/repository:Repository": ({"repositoryId": "a/images", "format": "DOCKER"}, "registryUri"),
    "azure-native:containerregistry:Registry": ({"registryName": "a/images", "resourceGroupName": "rg"}, "loginServer"),
}


def urn(token: str, name: str = "thing") -> Urn:
    return Urn("local-x", "p", token, name, f"urn:pulumi:local-x::p::{token}::{name}")


def answer(token: str, inputs: dict[str, Any], seed: str = "seed") -> Answer:
    package = token.partition(":")[0]
    place = Place(CLOUDS[package].SITE, CLOUDS[package].region({}), Path("/registries"))
    return Recorder(package).answer(Request(facts(token), "thing", inputs, seed, "2026-01-01T00:00:00Z", place))


def checked(token: str, inputs: dict[str, Any], old: dict[str, Any] | None = None, seed: bytes = b"1") -> Any:
    return Recorder(token.partition(":")[0]).check(urn(token), old or {}, inputs, Naming(seed))


def test_facts_come_from_the_sdk_with_names_as_on_the_wire() -> None:
    found = facts("aws:s3/bucketVersioning:BucketVersioning")
    assert {name for name, prop in found.inputs.items() if prop.required} == {"bucket", "versioningConfiguration"}
    cluster = facts("azure-native:containerservice:ManagedCluster")
    assert cluster.input_only == ("resourceGroupName", "resourceName")
    assert "fqdn" in cluster.output_only
    assert facts("tls:index/privateKey:PrivateKey").secrets == (
        "privateKeyOpenssh",
        "privateKeyPem",
        "privateKeyPemPkcs8",
    )


def test_facts_read_twice_are_the_same_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path))
    facts.cache_clear()
    first = facts("azure-native:storage:StorageAccount")
    facts.cache_clear()
    assert facts("azure-native:storage:StorageAccount") == first
    assert list(tmp_path.rglob("*.json"))


def test_facts_may_be_read_by_many_threads_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path))
    facts.cache_clear()
    failures: list[Exception] = []

    def read(token: str) -> None:
        try:
            facts(token)
        except (EmulatorError, SystemError) as error:
            failures.append(error)

    tokens = ["aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:iam/role:Role", "aws:kms/key:Key"] * 2
    threads = [threading.Thread(target=read, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_versioned_azure_token_means_the_same_type() -> None:
    assert unversioned("azure-native:storage/v20230101:StorageAccount") == "azure-native:storage:StorageAccount"
    assert unversioned("aws:s3/bucket:Bucket") == "aws:s3/bucket:Bucket"


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(EmulatorError, match="aws:s3/nothing:Nothing is not a type of pulumi_aws"):
        facts("aws:s3/nothing:Nothing")


@pytest.mark.parametrize(
    ("token", "inputs", "said"),
    [
        ("aws:s3/bucket:Bucket", {"bukket": "a"}, "bukket is not an argument of aws:s3/bucket:Bucket"),
        ("aws:eks/cluster:Cluster", {"roleArn": "a"}, "vpcConfig is missing"),
        (
            "aws:eks/cluster:Cluster",
            {"roleArn": "a", "vpcConfig": {"subnets": []}},
            "vpcConfig.subnets is not an argument",
        ),
        ("aws:ec2/vpc:Vpc", {"tags": ["a"]}, "tags must be a map, not a list"),
        ("gcp:storage/bucket:Bucket", {"location": "EU", "uniformBucketLevelAccess": "yes"}, "must be true or false"),
        ("azure-native:storage:StorageAccount", {**ACCOUNT_INPUTS, "kind": "Storrage"}, "allowed values: Storage, "),
        ("kubernetes:apps/v1:Deployment", {"spec": {"replica": 1}}, "spec.replica is not an argument"),
    ],
)
def test_what_a_cloud_would_refuse_is_refused_by_name(token: str, inputs: dict[str, Any], said: str) -> None:
    reasons = " | ".join(failure.reason for failure in check(facts(token), inputs))
    assert said in reasons


def test_unknowns_pass_every_check() -> None:
    inputs = {"roleArn": UNKNOWN, "vpcConfig": {"subnetIds": [UNKNOWN], "endpointPublicAccess": UNKNOWN}}
    assert check(facts("aws:eks/cluster:Cluster"), inputs) == []


@pytest.mark.parametrize(
    ("token", "inputs", "name", "pattern"),
    [
        ("aws:s3/bucket:Bucket", {}, "bucket", "thing-"),
        ("gcp:storage/bucket:Bucket", {"location": "EU"}, "name", "thing-"),
        ("azure-native:resources:ResourceGroup", {}, "resourceGroupName", "thing"),
        (
            "azure-native:containerservice:AgentPool",
            {"resourceGroupName": "a", "resourceName": "b"},
            "agentPoolName",
            "thing",
        ),
    ],
)
def test_a_name_is_made_up_and_then_kept(token: str, inputs: dict[str, Any], name: str, pattern: str) -> None:
    first, failures = checked(token, inputs)
    assert failures == []
    assert first[name].startswith(pattern)
    again, _ = checked(token, inputs, old=first, seed=b"another")
    assert again[name] == first[name]


def test_a_given_name_is_left_alone() -> None:
    assert checked("aws:s3/bucket:Bucket", {"bucket": "mine"})[0]["bucket"] == "mine"


def test_automatic_names_can_be_disabled_and_proposed() -> None:
    recorder, token = Recorder("aws"), "aws:s3/bucket:Bucket"
    _, failures = recorder.check(urn(token), {}, {}, Naming(disabled=True))
    assert [failure.property for failure in failures] == ["bucket"]
    assert recorder.check(urn(token), {}, {}, Naming(proposed="wanted"))[0]["bucket"] == "wanted"


@pytest.mark.parametrize("token", list(CLUSTERS))
def test_an_emulated_cluster_says_how_it_is_reached_and_no_other_is_reached_so(token: str) -> None:
    cloud = CLOUDS[token.partition(":")[0]]
    servers = {cloud.server(answer(token, CLUSTERS[token], seed).outputs) for seed in "abc"}
    assert len(servers) == 3
    assert all(server.startswith("https://") for server in servers)
    assert answer(token, CLUSTERS[token]) == answer(token, CLUSTERS[token])


@pytest.mark.parametrize("token", list(REGISTRIES))
def test_a_registry_is_an_oci_layout_below_its_site(token: str) -> None:
    inputs, output = REGISTRIES[token]
    site = CLOUDS[token.partition(":")[0]].SITE
    assert answer(token, inputs).outputs[output] == f"oci-layout:///registries/{site}/a/images"


def test_every_output_that_must_be_there_is_there() -> None:
    for token, inputs in CLUSTERS.items():
        outputs = answer(token, inputs).outputs
        missing = [name for name, prop in facts(token).outputs.items() if prop.required and name not in outputs]
        assert missing == []


def test_azure_answers_identities_in_its_own_shape() -> None:
    identity = {"type": "UserAssigned", "userAssignedIdentities": ["/x"]}
    inputs = {
        "resourceName": "c",
        "resourceGroupName": "rg",
        "identity": identity,
        "oidcIssuerProfile": {"enabled": True},
    }
    found = answer("azure-native:containerservice:ManagedCluster", inputs)
    assert found.id.endswith("/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c")
    assert set(found.outputs["identity"]["userAssignedIdentities"]["/x"]) == {"clientId", "principalId"}
    assert found.outputs["oidcIssuerProfile"]["issuerURL"].startswith("https://")


def test_a_preview_knows_inputs_and_nothing_the_cloud_sets() -> None:
    recorder = Recorder("azure-native")
    inputs = {"resourceName": "c", "resourceGroupName": "rg", "oidcIssuerProfile": {"enabled": True}}
    seen = recorder.foresee("azure-native:containerservice:ManagedCluster", inputs)
    assert seen["fqdn"] is UNKNOWN
    assert seen["oidcIssuerProfile"]["enabled"] is True
    assert seen["oidcIssuerProfile"]["issuerURL"] is UNKNOWN
    bucket = Recorder("aws").foresee("aws:s3/bucket:Bucket", {"bucket": "b"})
    assert (bucket["bucket"], bucket["arn"]) == ("b", UNKNOWN)


def test_secret_outputs_are_marked() -> None:
    marked = Recorder("gcp").mark("gcp:storage/bucket:Bucket", {"effectiveLabels": {}, "url": "gs://b"})
    assert marked == {"effectiveLabels": Secret({}), "url": "gs://b"}


def test_a_replacement_under_the_same_name_deletes_first() -> None:
    token = "gcp:storage/bucket:Bucket"
    found = Recorder("gcp").difference(token, {"name": "b", "location": "EU"}, {"name": "b", "location": "US"})
    assert found.replaces
    assert found.delete_before_replace
    renamed = Recorder("gcp").difference(token, {"name": "b", "location": "EU"}, {"name": "c", "location": "EU"})
    assert renamed.replaces
    assert not renamed.delete_before_replace


def test_an_id_drawn_by_the_cloud_never_conflicts() -> None:
    found = Recorder("aws").difference("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.1.0.0/16"})
    assert found.replaces
    assert not found.delete_before_replace


def test_an_ordinary_change_is_an_update() -> None:
    found = Recorder("aws").difference("aws:s3/bucket:Bucket", {"bucket": "b"}, {"bucket": "b", "tags": {"a": "b"}})
    assert found.changes
    assert not found.replaces


def test_every_row_of_the_replacement_table_names_known_arguments() -> None:
    for token in [*CLUSTERS, *REGISTRIES, "aws:eks/nodeGroup:NodeGroup", "gcp:container/nodePool:NodePool"]:
        for path in replaces(token):
            assert path.replace("[", ".").split(".")[0] in facts(token).inputs, f"{token}: {path}"


def test_policy_documents_are_written_as_iam_writes_them() -> None:
    statement = {
        "actions": ["s3:GetObject"],
        "resources": ["a", "b"],
        "principals": [{"type": "AWS", "identifiers": ["x"]}],
        "conditions": [{"test": "StringEquals", "variable": "k", "values": ["v"]}],
    }
    place = Place("aws", "us-east-1", Path("/"))
    arguments = {"statements": [statement]}
    found = aws.invoke("aws:iam/getPolicyDocument:getPolicyDocument", arguments, place, lambda *_: None)
    assert '"Action": "s3:GetObject"' in found["json"]
    assert '"AWS": "x"' in found["json"]
    assert '"StringEquals": {' in found["json"]


def test_a_function_that_is_not_emulated_is_named() -> None:
    with pytest.raises(RefusedError, match="getBucket is not emulated"):
        aws.invoke("aws:s3/getBucket:getBucket", {}, Place("aws", "us-east-1", Path("/")), lambda *_: None)
    with pytest.raises(RefusedError, match="was not found"):
        azure.invoke(
            "azure-native:containerservice:listManagedClusterUserCredentials",
            {"resourceGroupName": "a", "resourceName": "b"},
            Place("azure", "westeurope", Path("/")),
            lambda *_: None,
        )


def test_servers_are_compared_without_port_and_case() -> None:
    assert identities.server_key("https://A.example:443/") == identities.server_key("https://a.example")


@pytest.mark.parametrize("stack", ["prod-aws", "dev", "localaws", "locals", ""])
def test_only_local_stacks_are_served(stack: str) -> None:
    with pytest.raises(guards.GuardError, match="the emulators serve only stacks named local or local-"):
        guards.stack(stack)
    guards.stack("local-aws")
    guards.stack("local")


@pytest.mark.parametrize("allowed", [None, [], ["111111111111"], ["123456789012", "111111111111"], UNKNOWN])
def test_aws_must_allow_the_emulated_account_alone(allowed: Any) -> None:
    with pytest.raises(guards.GuardError, match="aws:allowedAccountIds"):
        guards.aws({"allowedAccountIds": allowed})
    guards.aws({"allowedAccountIds": ["123456789012"]})


def test_gcp_and_azure_must_name_the_emulated_project_and_subscription() -> None:
    with pytest.raises(guards.GuardError, match="mine"):
        guards.gcp({"project": "mine"})
    with pytest.raises(guards.GuardError, match="none"):
        guards.azure({})
    guards.gcp({"project": "trihull-local"})
    guards.azure({"subscriptionId": "00000000-0000-0000-0000-000000000000"})
