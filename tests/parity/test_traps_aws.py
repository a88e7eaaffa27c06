"""The traps of AWS, each by name: what makes a site there behave as on the other clouds, shown to bite."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.conftest import Run
from tests.parity.mocks import Recording
from tests.parity.tokens import CLUSTERS, KEYS, POOLS, REGISTRIES
from trihull_infra import naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment
from trihull_infra.provider import Properties, capabilities
from trihull_infra.providers.aws.spec import AwsSpec
from trihull_infra.registered import Registered

ADDON = "aws:eks/addon:Addon"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
ENTRY = "aws:eks/accessEntry:AccessEntry"
GROUP_TAG = "aws:autoscaling/tag:Tag"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
LOGGING = "aws:s3/bucketLogging:BucketLogging"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
SCHEDULE = "aws:scheduler/schedule:Schedule"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
TRAIL = "aws:cloudtrail/trail:Trail"
Change = Callable[[dict[str, Any]], None]


def without(token: str) -> Callable[[list[Registered]], list[Registered]]:
    return lambda registered: [one for one in registered if one.type != token]


def changed(token: str, name: str, *path: str | int, value: Any) -> Callable[[list[Registered]], list[Registered]]:
    """Give what was registered with one input of one resource set."""

    def change(registered: list[Registered]) -> list[Registered]:
        found = [one for one in registered if (one.type, one.name) == (token, name)]
        assert found, f"no {token} {name}"
        inputs = json.loads(json.dumps(found[0].inputs))
        inner = inputs
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value
        return [dataclasses.replace(one, inputs=inputs) if one is found[0] else one for one in registered]

    return change


def described(recording: Recording) -> Properties:
    return provider.load(Cloud.AWS).describe(recording.registered)


def statements(recording: Recording, token: str, name: str, key: str = "policy") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(recording.the(token, name).inputs[key])["Statement"]
    return found


BITES: dict[str, tuple[str, Any, Callable[[list[Registered]], list[Registered]]]] = {
    "a pool that no autoscaler finds": (
        "pools_scale_themselves",
        False,
        changed(GROUP_TAG, "pools-serving-enabled", "tag", "key", value="something/else"),
    ),
    "nodes that nobody upgrades": ("nodes_upgraded_in_window", False, without(SCHEDULE)),
    "a group whose schedule asks for something else": (
        "nodes_upgraded_in_window",
        False,
        changed(SCHEDULE, "upgrades-serving", "target", "arn", value="arn:aws:scheduler:::aws-sdk:eks:deleteNodegroup"),
    ),
    "no autoscaler's identity": ("pools_scale_themselves", False, without(ASSOCIATION)),
    "no metrics-server": ("metrics_for_autoscaling", False, without(ADDON)),
    "network policy left off": (
        "network_policy_enforced",
        False,
        changed(ADDON, "cluster-vpc-cni", "configurationValues", value="{}"),
    ),
    "the instance metadata service's first version": (
        "node_metadata_guarded",
        False,
        changed(TEMPLATE, "pools-template", "metadataOptions", "httpTokens", value="optional"),
    ),
    "metadata two hops away": (
        "node_metadata_guarded",
        False,
        changed(TEMPLATE, "pools-accelerator-template", "metadataOptions", "httpPutResponseHopLimit", value=2),
    ),
    "a disk without the own key": (
        "node_disks_with_own_key",
        False,
        changed(TEMPLATE, "pools-accelerator-template", "blockDeviceMappings", 1, "ebs", "kmsKeyId", value=None),
    ),
    "access by the aws-auth map as well": (
        "api_server_cloud_identities_only",
        False,
        changed(
            CLUSTERS[Cloud.AWS], "cluster-cluster", "accessConfig", "authenticationMode", value="API_AND_CONFIG_MAP"
        ),
    ),
    "a cluster that can be deleted": (
        "deletion_guarded",
        False,
        changed(CLUSTERS[Cloud.AWS], "cluster-cluster", "deletionProtection", value=False),
    ),
    "control-plane logs that are never dropped": (
        "control_plane_logged",
        False,
        changed(LOG_GROUP, "cluster-logs", "retentionInDays", value=None),
    ),
    "logs kept for different times": (
        "logs_kept_days",
        0,
        changed(LOG_GROUP, "logs-connections", "retentionInDays", value=30),
    ),
    "keys rotated at different times": (
        "keys_rotated_days",
        0,
        changed(KEYS[Cloud.AWS], "keys-data", "rotationPeriodInDays", value=365),
    ),
    "tags that move": (
        "registry_tags_immutable",
        False,
        changed(REGISTRIES[Cloud.AWS], "registry-repository", "imageTagMutability", value="MUTABLE"),
    ),
    "layers over the internet": (
        "registry_reached_privately",
        False,
        changed(ENDPOINT, "network-endpoint-s3", "serviceName", value="com.amazonaws.us-east-1.dynamodb"),
    ),
    "no trail": ("registry_audited", False, without(TRAIL)),
    "no access logs": ("bucket_access_logged", False, without(LOGGING)),
    "plain HTTP": (
        "bucket_tls_only",
        False,
        changed(POLICY, "bucket-policy", "policy", value='{"Statement": []}'),
    ),
    "serving writes releases": (
        "serving_writes_captured_data_only",
        False,
        changed(
            ROLE_POLICY,
            "identity-serving-permissions",
            "policy",
            value='{"Statement": [{"Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::b/releases/*"]}]}',
        ),
    ),
    "serving deletes": (
        "serving_writes_captured_data_only",
        False,
        changed(
            ROLE_POLICY,
            "identity-serving-permissions",
            "policy",
            value='{"Statement": [{"Action": ["s3:DeleteObject"], "Resource": ["arn:aws:s3:::b/*"]}]}',
        ),
    ),
    "nobody trusts CI": ("deployer", None, without(ROLE)),
    "a public subnet": (
        "nodes_private",
        False,
        changed("aws:ec2/subnet:Subnet", "network-private-0", "mapPublicIpOnLaunch", value=True),
    ),
}


@pytest.mark.parametrize("trap", sorted(BITES))
def test_each_trap_bites(run: Run, trap: str) -> None:
    field, wrong, change = BITES[trap]
    registered = run("site", "longestname1-aws").registered
    describe = provider.load(Cloud.AWS).describe
    assert getattr(describe(registered), field) not in (wrong, None)
    assert getattr(describe(change(registered)), field) == wrong


@pytest.mark.parametrize("name", ["local", "longestname1", "given"])
def test_a_preview_is_described_as_far_as_it_is_known(run: Run, name: str) -> None:
    """What follows from the environment is known before anything is there; only what a key's ARN is part of is not."""
    before = dataclasses.asdict(described(run("site", f"{name}-aws", True)))
    after = dataclasses.asdict(described(run("site", f"{name}-aws")))
    assert {field for field in after if before[field] != after[field]} <= {"bucket_tls_only"}


def test_node_counts_are_totals_of_a_group(run: Run) -> None:
    groups = {
        one.inputs["nodeGroupName"]: one.inputs for one in run("site", "longestname1-aws").of_type(POOLS[Cloud.AWS])
    }
    assert set(groups) == {"system", "serving", "servingspot", "accelerator", "acceleraspot"}
    assert sum(groups[name]["scalingConfig"]["minSize"] for name in ("serving", "servingspot")) == 4
    assert len(groups["serving"]["subnetIds"]) == 3, "one group over all zones, not one for each"


def test_system_pods_run_on_the_tainted_system_pool(run: Run, name: str) -> None:
    site = run("site", f"{name}-aws")
    system = site.the(POOLS[Cloud.AWS], "pools-system").inputs
    assert {"key": "CriticalAddonsOnly", "value": "true", "effect": "NO_SCHEDULE"} in system["taints"]
    assert system["capacityType"] == "ON_DEMAND"
    for addon in site.of_type(ADDON):
        if addon.inputs["addonName"] in ("coredns", "metrics-server"):
            values = json.loads(addon.inputs["configurationValues"])
            assert values["nodeSelector"].items() <= system["labels"].items()
            assert {"key": "CriticalAddonsOnly", "operator": "Exists"} in values["tolerations"]


def test_eks_addons_bring_network_policy_metrics_and_identity(run: Run) -> None:
    addons = {one.inputs["addonName"]: one.inputs for one in run("site", "local-aws").of_type(ADDON)}
    assert {"vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent", "metrics-server"} == set(addons)
    assert json.loads(addons["vpc-cni"]["configurationValues"]) == {"enableNetworkPolicy": "true"}


def test_spot_has_labels_and_taints_of_ours_since_eks_adds_none(run: Run) -> None:
    spot = run("site", "longestname1-aws").the(POOLS[Cloud.AWS], "pools-servingspot").inputs
    assert spot["capacityType"] == "SPOT"
    assert spot["labels"][naming.SPOT_LABEL] == "true"
    assert [taint["key"] for taint in spot["taints"]] == [naming.SPOT_LABEL]
    assert len(spot["instanceTypes"]) > 1, "spot of one type is soon gone"
    assert capabilities(Cloud.AWS).spot_taints == {}


def test_accelerators_come_with_driver_and_device_plugin(run: Run) -> None:
    site = run("site", "longestname1-aws")
    group = site.the(POOLS[Cloud.AWS], "pools-accelerator").inputs
    assert group["amiType"] == "BOTTLEROCKET_x86_64_NVIDIA", "which has both"
    assert not capabilities(Cloud.AWS).device_plugin
    assert {"key": naming.ACCELERATOR_LABEL, "value": "t4", "effect": "NO_SCHEDULE"} in group["taints"]
    assert group["labels"]["k8s.amazonaws.com/accelerator"] == "t4", "by which the autoscaler waits for devices"
    assert group["scalingConfig"]["minSize"] == group["scalingConfig"]["desiredSize"] == 0
    disks = site.the(TEMPLATE, "pools-accelerator-template").inputs["blockDeviceMappings"]
    assert [disk["deviceName"] for disk in disks] == ["/dev/xvda", "/dev/xvdb"], "system and data"


def test_arm_machines_get_arm_images(run: Run) -> None:
    groups = run("site", "given-aws").of_type(POOLS[Cloud.AWS])
    assert {group.inputs["amiType"] for group in groups} == {"AL2023_ARM_64_STANDARD"}


def test_autoscaler_finds_groups_that_are_empty(run: Run, name: str) -> None:
    """It asks Auto Scaling groups, not node groups, whose tags stay with them."""
    site = run("site", f"{name}-aws")
    cluster = mocks.opened(site.exports["cluster_name"])
    for group in site.of_type(POOLS[Cloud.AWS]):
        prefix = f"{group.name}-"
        tags = {
            one.inputs["tag"]["key"]: one.inputs["tag"]["value"]
            for one in site.of_type(GROUP_TAG)
            if one.inputs["autoscalingGroupName"].startswith(f"eks-{group.inputs['nodeGroupName']}-")
        }
        assert tags.pop("k8s.io/cluster-autoscaler/enabled") == "true"
        assert tags.pop(f"k8s.io/cluster-autoscaler/{cluster}") == "owned"
        template = "k8s.io/cluster-autoscaler/node-template"
        wanted = {f"{template}/label/{key}": value for key, value in group.inputs["labels"].items()}
        wanted |= {
            f"{template}/taint/{taint['key']}": f"{taint['value']}:NoSchedule"
            for taint in group.inputs.get("taints") or ()
        }
        assert tags == wanted, prefix


def test_autoscaler_moves_groups_of_its_cluster_alone(run: Run, name: str) -> None:
    site = run("site", f"{name}-aws")
    cluster = mocks.opened(site.exports["cluster_name"])
    writing = [
        statement
        for statement in statements(site, ROLE_POLICY, "identity-autoscaler-permissions")
        if not all(":Describe" in action or ":Get" in action for action in statement["Action"])
    ]
    (scales,) = writing
    assert scales["Condition"] == {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}": "owned"}}
    association = site.the(ASSOCIATION, "identity-autoscaler-association").inputs
    assert (association["namespace"], association["serviceAccount"]) == ("kube-system", "trihull-node-autoscaler")
    assert mocks.opened(site.exports["identities"])["node-autoscaler"] == {}


def test_eks_access_is_by_entries_alone(run: Run, name: str, spec: Environment) -> None:
    site, asked = run("site", f"{name}-aws"), spec.site(Cloud.AWS)
    assert isinstance(asked, AwsSpec)
    for cluster in site.of_type(CLUSTERS[Cloud.AWS]):
        assert cluster.inputs["accessConfig"] == {
            "authenticationMode": "API",
            "bootstrapClusterCreatorAdminPermissions": False,
        }
    entries = [one.inputs["principalArn"] for one in site.of_type(ENTRY)]
    deployer = [one.inputs["name"] for one in site.of_type(ROLE) if one.name == "identity-deployer"]
    # A cluster that is there has its administrators already.
    administrators = [] if asked.existing.cluster else list(asked.administrators)
    assert entries == [*administrators, *(f"arn:aws:iam::123456789012:role/{role}" for role in deployer)]


def test_eks_log_group_is_there_before_the_cluster(run: Run) -> None:
    site = run("site", "local-aws")
    order = [(one.type, one.name) for one in site.resources]
    assert order.index((LOG_GROUP, "cluster-logs")) < order.index((CLUSTERS[Cloud.AWS], "cluster-cluster"))
    group = site.the(LOG_GROUP, "cluster-logs").inputs
    assert group["name"] == "/aws/eks/trihull-local/cluster"
    assert group["retentionInDays"] == 90


def test_support_is_what_is_asked_for(run: Run) -> None:
    for name, support in (("local", "STANDARD"), ("longestname1", "EXTENDED")):
        cluster = run("site", f"{name}-aws").the(CLUSTERS[Cloud.AWS]).inputs
        assert cluster["upgradePolicy"] == {"supportType": support}
