"""The sites of an environment are the same on every cloud but for what is declared, and each trap is dealt with."""

import base64
import dataclasses
import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.conftest import Run
from tests.parity.mocks import Recording
from tests.parity.tokens import BUCKETS, CLUSTERS, KEYS, POOLS, PROVISIONED, REGISTRIES
from trihull_infra import addresses, naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder.facts import facts
from trihull_infra.environment import Environment, PoolSpec, load
from trihull_infra.provider import Properties, capabilities, every_share
from trihull_infra.registered import Registered

# Limits of the clouds' own names: (type, argument, pattern).
NAMES = [
    ("aws:s3/bucket:Bucket", "bucket", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    ("aws:eks/cluster:Cluster", "name", r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}"),
    ("aws:eks/nodeGroup:NodeGroup", "nodeGroupName", r"[0-9A-Za-z][A-Za-z0-9_-]{0,62}"),
    ("aws:iam/role:Role", "name", r"[A-Za-z0-9+=,.@_-]{1,64}"),
    ("aws:scheduler/scheduleGroup:ScheduleGroup", "name", r"[0-9a-zA-Z-_.]{1,64}"),
    ("aws:scheduler/schedule:Schedule", "name", r"[0-9a-zA-Z-_.]{1,64}"),
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


NAME_OF_POOL = {Cloud.AWS: "nodeGroupName", Cloud.GCP: "name", Cloud.AZURE: "agentPoolName"}
NETWORKS = {
    Cloud.AWS: {"aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/natGateway:NatGateway"},
    Cloud.GCP: {"gcp:compute/network:Network", "gcp:compute/subnetwork:Subnetwork", "gcp:compute/routerNat:RouterNat"},
    Cloud.AZURE: {"azure-native:network:VirtualNetwork", "azure-native:network:NatGateway"},
}


@pytest.fixture(params=PROVISIONED)
def cloud(request: pytest.FixtureRequest) -> Cloud:
    return Cloud(request.param)


@pytest.fixture
def site(run: Run, name: str, cloud: Cloud) -> Recording:
    return run("site", f"{name}-{cloud}")


@pytest.fixture
def properties(site: Recording, cloud: Cloud) -> Properties:
    return provider.load(cloud).describe(site.registered)


def every_property(run: Run, name: str) -> dict[Cloud, dict[str, Any]]:
    return {
        cloud: dataclasses.asdict(provider.load(cloud).describe(run("site", f"{name}-{cloud}").registered))
        for cloud in PROVISIONED
    }


# What is trihull's own also where network, keys, cluster and registry are named, not made.
MADE_ANYWAY = ("bucket_", "serving_", "labels", "deployer", "workload_identity", "logs_kept_days", "nodes_with_own")


def own(name: str) -> bool:
    """Whether the environment's sites are made whole; of what it names as existing nothing is known."""
    return name != "given"


def test_sites_differ_in_nothing_that_is_not_declared(run: Run, name: str) -> None:
    described = every_property(run, name)
    for field in dataclasses.fields(Properties):
        if not own(name) and not field.name.startswith(MADE_ANYWAY):
            continue  # of what is somebody else's each cloud tells what it can see
        values = [
            described[cloud][field.name] for cloud in PROVISIONED if field.name not in capabilities(cloud).differs
        ]
        if field.name == "labels":  # each cloud may be given tags of its own
            shared = set.intersection(*(set(value.items()) for value in values))
            assert {"owner", "environment", "application"} <= {key for key, _ in shared}
        else:
            assert all(value == values[0] for value in values), f"{field.name}: {values}"


@pytest.mark.parametrize("asked", ["local", "longestname1"])
def test_every_declared_difference_is_one(run: Run, asked: str) -> None:
    described = every_property(run, asked)
    for cloud in PROVISIONED:
        for field, reason in capabilities(cloud).differs.items():
            others = [
                described[other][field]
                for other in PROVISIONED
                if field not in capabilities(other).differs and other != cloud
            ]
            assert others, f"{field} differs on every cloud"
            assert described[cloud][field] != others[0], f"{cloud} declares that {field} differs, and it does not"
            assert len(reason) > 20


def test_site_is_what_the_environment_asks_for(
    properties: Properties, spec: Environment, cloud: Cloud, name: str
) -> None:
    pools = {pool.name: pool for pool in properties.pools}
    assert set(pools) == set(spec.pools.all)
    for key, asked in spec.pools.all.items():
        pool, machine = pools[key], asked.resolved
        assert pool.nodes_min == asked.nodes_min, "node counts are those of the whole pool, over all zones"
        assert (pool.vcpus, pool.memory_gib) == (machine.vcpus, machine.memory_gib)
        assert pool.architecture == machine.architecture
        assert pool.accelerator == (machine.accelerator.class_name if machine.accelerator else None)
        assert pool.labelled
        share = asked.spot_share if isinstance(asked, PoolSpec) else 0
        assert (pool.spot_nodes_max > 0) == (share > 0)
        if share > 0 and isinstance(asked, PoolSpec) and asked.on_demand_fallback:
            assert pool.on_demand_nodes_max == asked.nodes_max, "without spot all of the pool may be on demand"
        else:
            assert pool.nodes_max == asked.nodes_max, "node counts are those of the whole pool, over all zones"
    if own(name):
        assert properties.zones == len(spec.site(cloud).zone_names)
        assert properties.kubernetes_version == spec.kubernetes_version
        assert properties.api_server_networks == spec.api_server.authorised_networks
        assert properties.api_server_private_only == (not spec.api_server.authorised_networks)
        assert properties.deletion_guarded == spec.protect
        assert properties.connections_logged == spec.network.flow_logs
        assert properties.keys_rotated_days == spec.keys.rotation_days
    assert properties.logs_kept_days == spec.retention.logs_days
    assert properties.labels == {**spec.labels, **spec.site(cloud).own_tags}
    assert properties.deployer == (spec.ci.subject if spec.ci is not None else None)


SECURE = {
    "nodes_private",
    "registry_reached_privately",
    "bucket_reached_privately",
    "control_plane_upgraded_in_window",
    "nodes_upgraded_in_window",
    "minor_upgrades_only_by_hand",
    "api_server_cloud_identities_only",
    "control_plane_logged",
    "control_plane_guaranteed",
    "secrets_with_own_key",
    "network_policy_enforced",
    "metrics_for_autoscaling",
    "nodes_with_own_identity",
    "node_metadata_guarded",
    "node_disks_with_own_key",
    "nodes_verified_at_boot",
    "pools_scale_themselves",
    "registry_tags_immutable",
    "registry_scans",
    "registry_named_accounts_only",
    "registry_with_own_key",
    "registry_forgets_leftovers",
    "registry_audited",
    "bucket_versioned",
    "bucket_private",
    "bucket_identities_only",
    "bucket_tls_only",
    "bucket_with_own_key",
    "bucket_forgets_old_versions",
    "bucket_access_logged",
    "serving_reads_releases",
    "serving_writes_captured_data_only",
}


@pytest.mark.parametrize("asked", ["local", "longestname1"])
def test_site_is_secure_by_default(run: Run, asked: str, cloud: Cloud) -> None:
    properties = provider.load(cloud).describe(run("site", f"{asked}-{cloud}").registered)
    for field in sorted(SECURE - set(capabilities(cloud).differs)):
        assert getattr(properties, field) is True, field
    for pool in properties.pools:
        assert pool.tainted, f"{pool.name}: what does not belong there is kept off"


def test_serving_has_an_identity_of_its_own(properties: Properties) -> None:
    assert properties.workload_identity == ("trihull/trihull-serving",)


@pytest.mark.parametrize(("token", "argument", "pattern"), NAMES, ids=[f"{row[0]}-{row[1]}" for row in NAMES])
def test_names_keep_within_the_clouds_limits(run: Run, name: str, token: str, argument: str, pattern: str) -> None:
    for cloud in Cloud:
        for one in run("site", f"{name}-{cloud}").of_type(token):
            assert re.fullmatch(pattern, one.inputs[argument]), f"{one.name}: {one.inputs[argument]!r}"


def test_names_of_two_accounts_do_not_clash() -> None:
    names = {naming.globally_unique("dev", cloud, account) for cloud in Cloud for account in ("a", "b")}
    assert len(names) == 2 * len(Cloud)


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
    assert {CLUSTERS[cloud], BUCKETS[cloud], REGISTRIES[cloud], KEYS[cloud]} <= guarded
    assert not any(one.protect for one in run("site", f"local-{cloud}").resources)


def test_what_is_there_already_is_not_made_again(run: Run, cloud: Cloud) -> None:
    made = {one.type for one in run("site", f"given-{cloud}").registered}
    assert not made & {CLUSTERS[cloud], REGISTRIES[cloud], KEYS[cloud], *NETWORKS[cloud]}
    assert BUCKETS[cloud] in made
    assert POOLS[cloud] in made, "pools are ours, also in somebody else's cluster"


def labels_and_taints(pool: Registered, cloud: Cloud) -> tuple[dict[str, str], set[str]]:
    """Return a registered pool's labels, and its taints as `key=value`; each cloud writes them its own way."""
    if cloud == Cloud.AZURE:
        return pool.get("nodeLabels"), {taint.removesuffix(":NoSchedule") for taint in pool.get("nodeTaints") or ()}
    where = ("nodeConfig",) if cloud == Cloud.GCP else ()
    found = pool.get(*where, "taints") or ()
    assert all(taint["effect"] == "NO_SCHEDULE" for taint in found)
    return pool.get(*where, "labels"), {f"{taint['key']}={taint['value']}" for taint in found}


@pytest.mark.parametrize("asked", ["longestname1", "given"])
def test_pools_are_labelled_and_tainted_alike(run: Run, projects: Path, asked: str, cloud: Cloud) -> None:
    pools = {}
    for one in run("site", f"{asked}-{cloud}").registered:
        if one.type == POOLS[cloud]:
            pools[one.get(NAME_OF_POOL[cloud])] = labels_and_taints(one, cloud)
    for share in every_share(load(asked, projects / "environments").pools):
        if cloud == Cloud.AZURE and share.pool == naming.SYSTEM_POOL and asked != "given":
            assert share.name not in pools, "the system pool of a cluster of ours is its inline one"
            continue
        labels, taints = pools[share.name]
        assert share.labels.items() <= labels.items()
        assert {f"{key}={value}" for key, value in share.taints.items()} <= taints
        own = capabilities(cloud).spot_taints if share.spot else {}
        assert {f"{key}={value}" for key, value in own.items()} <= taints, "a taint of the cloud's own is declared"
        if share.pool == naming.POOL and not share.spot:
            assert taints == set(), "serving's own nodes take models and routers without asking"


def test_what_an_autoscaler_changes_is_ignored(run: Run, cloud: Cloud) -> None:
    changed = {Cloud.AWS: "scalingConfig.desiredSize", Cloud.GCP: "initialNodeCount", Cloud.AZURE: "count"}[cloud]
    for pool in run("site", f"longestname1-{cloud}").of_type(POOLS[cloud]):
        assert changed in pool.ignore_changes


def test_api_server_is_never_open_to_everybody(run: Run, name: str, cloud: Cloud) -> None:
    clusters = run("site", f"{name}-{cloud}").of_type(CLUSTERS[cloud])
    assert len(clusters) == own(name)
    assert "0.0.0.0/0" not in str([cluster.inputs for cluster in clusters])


def test_kubeconfig_asks_for_tokens_and_holds_none(run: Run, name: str, cloud: Cloud) -> None:
    config = json.loads(mocks.opened(run("site", f"{name}-{cloud}").exports["kubeconfig"]))
    ((user,), (cluster,)) = config["users"], config["clusters"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] in ("aws", "gke-gcloud-auth-plugin", "kubelogin")
    assert cluster["cluster"]["server"].startswith("https://")
    if cluster["cluster"]["server"].endswith(".gke.goog"):  # GKE's DNS endpoint: a certificate that all trust
        assert "certificate-authority-data" not in cluster["cluster"]
    else:
        authority = base64.b64decode(cluster["cluster"]["certificate-authority-data"])
        assert authority.startswith(b"-----BEGIN CERTIFICATE")


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
    files = ("network", "keys", "logs", "cluster", "pools", "registry", "bucket", "identity", "certificates")
    assert kinds == {f"trihull:{file}:{file.capitalize()}" for file in files}


def test_every_resource_has_a_component_as_its_parent(run: Run, cloud: Cloud) -> None:
    for one in run("site", f"local-{cloud}").resources:
        if one.custom and not one.type.startswith("pulumi:providers:"):
            assert "trihull:" in one.parent, f"{one.type} {one.name} stands under {one.parent}"


def test_certificates_are_for_their_purpose_alone(run: Run, name: str, cloud: Cloud, spec: Environment) -> None:
    site = run("site", f"{name}-{cloud}")
    uses = {
        one.name: one.inputs["allowedUses"] for one in site.of_type("tls:index/locallySignedCert:LocallySignedCert")
    }
    generation = spec.certificates.generation or ""
    assert uses == {
        f"certificates-serving{generation}": ["digital_signature", "server_auth"],
        f"certificates-router{generation}": ["digital_signature", "client_auth"],
    }
    request = site.the("tls:index/certRequest:CertRequest", f"certificates-serving{generation}-request")
    assert request.inputs["dnsNames"] == [f"serving.{cloud}.{name}.trihull.internal"]
    assert len(request.inputs["subject"]["commonName"]) <= 64
    for one in site.of_type("tls:index/locallySignedCert:LocallySignedCert"):
        assert one.inputs["validityPeriodHours"] > one.inputs["earlyRenewalHours"] > 0
