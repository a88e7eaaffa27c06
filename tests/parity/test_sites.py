"""The sites of an environment are the same on every cloud but for what is declared, and each trap is dealt with."""

import dataclasses
import ipaddress
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.conftest import Run
from tests.parity.mocks import Recording
from trihull_infra import addresses, naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder.facts import facts
from trihull_infra.environment import Environment
from trihull_infra.provider import Properties, capabilities

POOLS = {
    Cloud.AWS: "aws:eks/nodeGroup:NodeGroup",
    Cloud.GCP: "gcp:container/nodePool:NodePool",
    Cloud.AZURE: "azure-native:containerservice:AgentPool",
}
CLUSTERS = {
    Cloud.AWS: "aws:eks/cluster:Cluster",
    Cloud.GCP: "gcp:container/cluster:Cluster",
    Cloud.AZURE: "azure-native:containerservice:ManagedCluster",
}
BUCKETS = {
    Cloud.AWS: "aws:s3/bucket:Bucket",
    Cloud.GCP: "gcp:storage/bucket:Bucket",
    Cloud.AZURE: "azure-native:storage:StorageAccount",
}
REGISTRIES = {
    Cloud.AWS: "aws:ecr/repository:Repository",
    Cloud.GCP: "gcp:artifactregistry/repository:Repository",
    Cloud.AZURE: "azure-native:containerregistry:Registry",
}
# Limits of the clouds' own names: (type, argument, pattern).
NAMES = [
    ("aws:s3/bucket:Bucket", "bucket", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    ("aws:eks/cluster:Cluster", "name", r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}"),
    ("aws:eks/nodeGroup:NodeGroup", "nodeGroupName", r"[0-9A-Za-z][A-Za-z0-9_-]{0,62}"),
    ("aws:iam/role:Role", "name", r"[A-Za-z0-9+=,.@_-]{1,64}"),
    ("aws:ecr/repository:Repository", "name", r"[a-z0-9][a-z0-9._/-]{1,255}"),
    ("aws:kms/alias:Alias", "name", r"alias/[A-Za-z0-9/_-]{1,250}"),
    ("gcp:storage/bucket:Bucket", "name", r"[a-z0-9][a-z0-9_.-]{1,61}[a-z0-9]"),
    ("gcp:container/cluster:Cluster", "name", r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?"),
    ("gcp:container/nodePool:NodePool", "name", r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?"),
    ("gcp:serviceaccount/account:Account", "accountId", r"[a-z][a-z0-9-]{4,28}[a-z0-9]"),
    ("gcp:artifactregistry/repository:Repository", "repositoryId", r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"),
    ("gcp:compute/network:Network", "name", r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"),
    ("azure-native:storage:StorageAccount", "accountName", r"[a-z0-9]{3,24}"),
    ("azure-native:containerservice:AgentPool", "agentPoolName", r"[a-z][a-z0-9]{0,11}"),
    ("azure-native:containerservice:ManagedCluster", "resourceName", r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"),
    ("azure-native:containerservice:ManagedCluster", "nodeResourceGroup", r"[A-Za-z0-9_.()-]{0,79}[A-Za-z0-9_()-]"),
    ("azure-native:containerregistry:Registry", "registryName", r"[a-zA-Z0-9]{5,50}"),
    ("azure-native:resources:ResourceGroup", "resourceGroupName", r"[A-Za-z0-9_.()-]{0,89}[A-Za-z0-9_()-]"),
    ("azure-native:managedidentity:UserAssignedIdentity", "resourceName", r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}"),
]


@pytest.fixture
def site(run: Run, name: str, cloud: Cloud) -> Recording:
    return run("site", f"{name}-{cloud}")


@pytest.fixture
def properties(site: Recording, cloud: Cloud) -> Properties:
    return provider.load(cloud).describe(site.registered)


def every_property(run: Run, name: str) -> dict[Cloud, dict[str, Any]]:
    return {
        cloud: dataclasses.asdict(provider.load(cloud).describe(run("site", f"{name}-{cloud}").registered))
        for cloud in Cloud
    }


def test_sites_differ_in_nothing_that_is_not_declared(run: Run, name: str) -> None:
    described = every_property(run, name)
    for field in dataclasses.fields(Properties):
        values = [described[cloud][field.name] for cloud in Cloud if field.name not in capabilities(cloud).differs]
        assert all(value == values[0] for value in values), f"{field.name}: {values}"


def test_every_declared_difference_is_one(run: Run, name: str) -> None:
    described = every_property(run, name)
    for cloud in Cloud:
        for field, reason in capabilities(cloud).differs.items():
            others = [
                described[other][field]
                for other in Cloud
                if field not in capabilities(other).differs and other != cloud
            ]
            assert others, f"{field} differs on every cloud"
            assert described[cloud][field] != others[0], f"{cloud} declares that {field} differs, and it does not"
            assert len(reason) > 20


def test_site_is_what_the_environment_asks_for(properties: Properties, spec: Environment, cloud: Cloud) -> None:
    pool = spec.pools.serving
    assert properties.nodes_min == pool.nodes_min, "node counts are those of the whole pool, over all zones"
    assert properties.nodes_max == pool.nodes_max, "node counts are those of the whole pool, over all zones"
    assert properties.node_vcpus == pool.resolved.vcpus
    assert properties.node_memory_gib == pool.resolved.memory_gib
    assert properties.zones == len(spec.site(cloud).zones)
    assert properties.kubernetes_version == spec.kubernetes_version
    assert properties.api_server_networks == spec.api_server.authorised_networks
    assert properties.api_server_private_only == (not spec.api_server.authorised_networks)
    assert properties.deletion_guarded == spec.protect
    assert properties.labels == spec.labels
    assert (properties.spot_nodes_max > 0) == (pool.spot_share > 0)


def test_site_is_secure_by_default(properties: Properties, cloud: Cloud) -> None:
    wanted = {
        "api_server_cloud_identities_only",
        "control_plane_logged",
        "network_policy_enforced",
        "spot_nodes_tainted",
        "nodes_private",
        "nodes_with_own_identity",
        "node_metadata_guarded",
        "registry_tags_immutable",
        "registry_scans",
        "registry_named_accounts_only",
        "bucket_versioned",
        "bucket_private",
        "bucket_identities_only",
        "bucket_tls_only",
    }
    for field in wanted - set(capabilities(cloud).differs):
        assert getattr(properties, field) is True, field


def test_serving_has_an_identity_of_its_own(properties: Properties) -> None:
    assert properties.workload_identity == ("trihull/trihull-serving",)


@pytest.mark.parametrize(("token", "argument", "pattern"), NAMES, ids=[f"{row[0]}-{row[1]}" for row in NAMES])
def test_names_keep_within_the_clouds_limits(run: Run, name: str, token: str, argument: str, pattern: str) -> None:
    for cloud in Cloud:
        for one in run("site", f"{name}-{cloud}").of_type(token):
            assert re.fullmatch(pattern, one.inputs[argument]), f"{one.name}: {one.inputs[argument]!r}"


def test_names_of_two_accounts_do_not_clash() -> None:
    names = {naming.globally_unique("dev", cloud, account) for cloud in Cloud for account in ("a", "b")}
    assert len(names) == 6


def test_every_name_follows_from_the_environment(run: Run, cloud: Cloud) -> None:
    """What has a name of its own has an explicit one: the id of a half-made resource is known after a crash."""
    named = {"name", "bucket", "accountId", "repositoryId", "resourceGroupName", "nodeGroupName", "agentPoolName"}
    nameless = {"Vpc", "Subnet", "Eip", "RouteTable", "Route", "NatGateway", "InternetGateway", "Key", "Attachment"}
    for one in run("site", f"local-{cloud}").registered:
        if one.type.startswith("aws:ec2") and one.type.rpartition(":")[2] in nameless:
            continue
        if "name" in facts_of(one.type) and one.type.startswith(("aws:", "gcp:")):
            assert named & set(one.inputs), f"{one.type} {one.name}"


def facts_of(token: str) -> set[str]:
    return set() if token.startswith("pulumi:") else set(facts(token).inputs)


def test_protected_environments_guard_what_cannot_be_made_again(run: Run, cloud: Cloud) -> None:
    guarded = {one.type for one in run("site", f"longestname1-{cloud}").resources if one.protect}
    assert {CLUSTERS[cloud], BUCKETS[cloud], REGISTRIES[cloud]} <= guarded
    if cloud == Cloud.AWS:
        assert "aws:kms/key:Key" in guarded
    assert not any(one.protect for one in run("site", f"local-{cloud}").resources)


def test_spot_pools_are_tainted_and_labelled_alike(run: Run, cloud: Cloud) -> None:
    pools = [one for one in run("site", f"longestname1-{cloud}").registered if one.type == POOLS[cloud]]
    assert len(pools) == 2, "half spot is a pool of each kind"
    read: dict[Cloud, Callable[[Any], tuple[set[str], Any]]] = {
        Cloud.AWS: lambda pool: (
            {f"{taint['key']}={taint['value']}:{taint['effect']}" for taint in pool.get("taints") or ()},
            pool.get("labels"),
        ),
        Cloud.GCP: lambda pool: (
            {f"{taint['key']}={taint['value']}:{taint['effect']}" for taint in pool.get("nodeConfig", "taints") or ()},
            pool.get("nodeConfig", "labels"),
        ),
        Cloud.AZURE: lambda pool: (set(pool.get("nodeTaints") or ()), pool.get("nodeLabels")),
    }
    (steady_taints, steady_labels), (spot_taints, spot_labels) = (read[cloud](pool) for pool in pools)
    assert steady_taints == set()
    assert steady_labels == {"trihull.internal/pool": "serving"}
    assert spot_labels == {"trihull.internal/pool": "serving", "trihull.internal/spot": "true"}
    effect = "NoSchedule" if cloud == Cloud.AZURE else "NO_SCHEDULE"
    assert f"trihull.internal/spot=true:{effect}" in spot_taints


def test_azures_own_spot_taint_is_declared(run: Run) -> None:
    pools = run("site", "longestname1-azure").of_type(POOLS[Cloud.AZURE])
    spot = next(pool for pool in pools if pool.inputs["scaleSetPriority"] == "Spot")
    assert "kubernetes.azure.com/scalesetpriority=spot:NoSchedule" in spot.inputs["nodeTaints"]
    assert spot.inputs["spotMaxPrice"] == -1


def test_what_an_autoscaler_changes_is_ignored(run: Run, cloud: Cloud) -> None:
    changed = {Cloud.AWS: "scalingConfig.desiredSize", Cloud.GCP: "initialNodeCount", Cloud.AZURE: "count"}[cloud]
    for pool in run("site", f"longestname1-{cloud}").of_type(POOLS[cloud]):
        assert changed in pool.ignore_changes


def test_gke_node_counts_are_totals_never_per_zone(run: Run) -> None:
    for pool in run("site", "longestname1-gcp").of_type(POOLS[Cloud.GCP]):
        assert set(pool.inputs["autoscaling"]) == {"totalMinNodeCount", "totalMaxNodeCount", "locationPolicy"}
        assert "nodeCount" not in pool.inputs


def test_aks_has_one_inline_pool_for_the_system_alone(run: Run, name: str) -> None:
    (pool,) = run("site", f"{name}-azure").the(CLUSTERS[Cloud.AZURE]).inputs["agentPoolProfiles"]
    assert pool["mode"] == "System"
    assert pool["minCount"] >= 1
    assert pool["nodeTaints"] == ["CriticalAddonsOnly=true:NoSchedule"]


def test_aks_control_plane_has_a_guaranteed_uptime(run: Run) -> None:
    assert run("site", "local-azure").the(CLUSTERS[Cloud.AZURE]).inputs["sku"] == {"name": "Base", "tier": "Standard"}


def test_gke_pools_are_never_inline(run: Run) -> None:
    inputs = run("site", "local-gcp").the(CLUSTERS[Cloud.GCP]).inputs
    assert inputs["removeDefaultNodePool"] is True
    assert "nodePools" not in inputs
    assert "nodeConfig" not in inputs


def test_gke_guard_is_off_where_the_environment_says_so(run: Run) -> None:
    assert run("site", "local-gcp").the(CLUSTERS[Cloud.GCP]).inputs["deletionProtection"] is False


def test_eks_access_is_by_entries_alone(run: Run, name: str, spec: Environment) -> None:
    site = run("site", f"{name}-aws")
    assert site.the(CLUSTERS[Cloud.AWS]).inputs["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    entries = [one.inputs["principalArn"] for one in site.of_type("aws:eks/accessEntry:AccessEntry")]
    assert entries == list(spec.site(Cloud.AWS).administrators)


def test_eks_log_group_is_there_before_the_cluster(run: Run) -> None:
    order = [one.type for one in run("site", "local-aws").resources]
    group = run("site", "local-aws").the("aws:cloudwatch/logGroup:LogGroup").inputs
    assert order.index("aws:cloudwatch/logGroup:LogGroup") < order.index(CLUSTERS[Cloud.AWS])
    assert group["name"] == "/aws/eks/trihull-local/cluster"
    assert group["retentionInDays"] == 90


def test_eks_addons_bring_network_policy_metrics_and_identity(run: Run) -> None:
    addons = {one.inputs["addonName"]: one.inputs for one in run("site", "local-aws").of_type("aws:eks/addon:Addon")}
    assert {"vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent", "metrics-server"} == set(addons)
    assert json.loads(addons["vpc-cni"]["configurationValues"]) == {"enableNetworkPolicy": "true"}


def test_s3_bucket_has_no_deprecated_inline_argument(run: Run) -> None:
    inputs = run("site", "local-aws").the(BUCKETS[Cloud.AWS]).inputs
    assert set(inputs) == {"bucket", "forceDestroy", "tags"}


def test_azure_role_assignments_keep_their_names_and_are_replaced_not_changed(run: Run) -> None:
    assignments = run("site", "local-azure").of_type("azure-native:authorization:RoleAssignment")
    names = [one.inputs["roleAssignmentName"] for one in assignments]
    assert len(set(names)) == len(names) >= 5
    assert all(one.delete_before_replace for one in assignments)


def test_api_server_is_never_open_to_everybody(run: Run, name: str, cloud: Cloud) -> None:
    cluster = run("site", f"{name}-{cloud}").the(CLUSTERS[cloud])
    assert "0.0.0.0/0" not in str(cluster.inputs)


def test_kubeconfig_asks_for_tokens_and_holds_none(run: Run, name: str, cloud: Cloud) -> None:
    config = json.loads(mocks.opened(run("site", f"{name}-{cloud}").exports["kubeconfig"]))
    ((user,), (cluster,)) = config["users"], config["clusters"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] in ("aws", "gke-gcloud-auth-plugin", "kubelogin")
    assert cluster["cluster"]["server"].startswith("https://")
    assert cluster["cluster"]["certificate-authority-data"] == mocks.CA


def test_engine_provider_is_bound_to_the_account(run: Run, name: str, spec: Environment, cloud: Cloud) -> None:
    (connection,) = [
        one
        for one in run("site", f"{name}-{cloud}").resources
        if one.type.startswith("pulumi:providers:") and not one.type.endswith(":tls")
    ]
    key = {Cloud.AWS: "allowedAccountIds", Cloud.GCP: "project", Cloud.AZURE: "subscriptionId"}[cloud]
    account = spec.site(cloud).account
    assert connection.inputs[key] == (json.dumps([account]) if cloud == Cloud.AWS else account)


def test_networks_of_sites_do_not_overlap() -> None:
    plans = [addresses.plan(cloud, 3) for cloud in Cloud]
    blocks = [ipaddress.ip_network(block) for plan in plans for block in (plan.network, plan.pods, plan.services)]
    for index, block in enumerate(blocks):
        assert not any(block.overlaps(other) for other in blocks[index + 1 :])
    for plan in plans:
        parts = [ipaddress.ip_network(block) for block in (*plan.nodes_by_zone, *plan.public_by_zone)]
        assert all(part.subnet_of(ipaddress.ip_network(plan.network)) for part in parts)  # type: ignore[arg-type]  # both IPv4
        assert not any(part.overlaps(other) for index, part in enumerate(parts) for other in parts[index + 1 :])


def test_components_are_of_the_same_types_on_every_cloud(run: Run, cloud: Cloud) -> None:
    kinds = {one.type for one in run("site", f"local-{cloud}").resources if not one.custom}
    files = ("network", "cluster", "pools", "registry", "bucket", "identity", "certificates")
    assert kinds == {f"trihull:{file}:{file.capitalize()}" for file in files}


def test_every_resource_has_a_component_as_its_parent(run: Run, cloud: Cloud) -> None:
    for one in run("site", f"local-{cloud}").resources:
        if one.custom and not one.type.startswith("pulumi:providers:"):
            assert "trihull:" in one.parent, f"{one.type} {one.name} stands under {one.parent}"


def test_certificates_are_for_their_purpose_alone(run: Run, name: str, cloud: Cloud) -> None:
    site = run("site", f"{name}-{cloud}")
    uses = {
        one.name: one.inputs["allowedUses"] for one in site.of_type("tls:index/locallySignedCert:LocallySignedCert")
    }
    assert uses == {
        "certificates-serving": ["digital_signature", "server_auth"],
        "certificates-router": ["digital_signature", "client_auth"],
    }
    request = site.the("tls:index/certRequest:CertRequest", "certificates-serving-request")
    assert request.inputs["dnsNames"] == [f"serving.{cloud}.{name}.trihull.internal"]
    assert len(request.inputs["subject"]["commonName"]) <= 64
    for one in site.of_type("tls:index/locallySignedCert:LocallySignedCert"):
        assert one.inputs["validityPeriodHours"] > one.inputs["earlyRenewalHours"] > 0


def test_azure_resources_carry_no_aliases(run: Run) -> None:
    native = [one for one in run("site", "local-azure").resources if one.type.startswith("azure-native:")]
    assert sum(one.aliases for one in native) == 0
