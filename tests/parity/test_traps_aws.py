"""The traps of AWS, each by name: what makes a site there behave as on the other clouds, shown to bite."""

import dataclasses
import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.changes import local, register
from tests.parity.conftest import Run
from tests.parity.mocks import Recording
from tests.parity.tokens import BUCKETS, CLUSTERS, KEYS, POOLS, REGISTRIES
from trihull_infra import naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder.recording import Recorder
from trihull_infra.environment import Environment
from trihull_infra.errors import SpecError
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


def test_s3_bucket_has_no_deprecated_inline_argument(run: Run) -> None:
    buckets = run("site", "local-aws").of_type(BUCKETS[Cloud.AWS])
    assert [one.name for one in buckets] == ["logs-bucket", "bucket-bucket"]
    for one in buckets:
        assert set(one.inputs) == {"bucket", "forceDestroy", "tags"}


def test_log_bucket_takes_access_logs_and_the_trail_and_nothing_else(run: Run, name: str) -> None:
    site = run("site", f"{name}-aws")
    logging = site.the(LOGGING).inputs
    allowed = [one for one in statements(site, POLICY, "logs-policy") if one["Effect"] == "Allow"]
    assert {one["Principal"]["Service"] for one in allowed} == {"logging.s3.amazonaws.com", "cloudtrail.amazonaws.com"}
    assert all("aws:SourceArn" in str(one["Condition"]) for one in allowed), "no other account's, through either"
    (access,) = [one for one in allowed if one["Principal"]["Service"].startswith("logging")]
    assert access["Resource"] == f"arn:aws:s3:::{logging['targetBucket']}/{logging['targetPrefix']}*"
    default = site.the(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "logs-encryption"
    ).inputs["rules"][0]["applyServerSideEncryptionByDefault"]
    assert default == {"sseAlgorithm": "AES256"}, "access logs are not delivered into what KMS encrypts"


@pytest.mark.parametrize("name", ["local", "longestname1"])
def test_key_policies_let_in_the_services_that_use_them(run: Run, name: str) -> None:
    """CloudWatch, CloudTrail and Auto Scaling are refused without a word in the key's own policy."""
    site = run("site", f"{name}-aws")
    for purpose in ("secrets", "images", "data"):
        assert [one["Sid"] for one in statements(site, KEYS[Cloud.AWS], f"keys-{purpose}")] == ["Account"]
    logs = {one["Sid"]: one for one in statements(site, KEYS[Cloud.AWS], "keys-logs")}
    region = site.the(LOG_GROUP, "cluster-logs")
    assert region.inputs["kmsKeyId"]
    assert "kms:EncryptionContext:aws:logs:arn" in str(logs["CloudWatchLogs"]["Condition"])
    trail = site.the(TRAIL)
    assert logs["CloudTrail"]["Condition"]["StringEquals"]["aws:SourceArn"].endswith(f"trail/{trail.inputs['name']}")
    disks = {one["Sid"]: one for one in statements(site, KEYS[Cloud.AWS], "keys-disks")}
    assert disks["AutoScalingGrants"]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    for sid in ("AutoScaling", "AutoScalingGrants"):
        condition = disks[sid]["Condition"]
        assert condition["StringEquals"] == {"kms:CallerAccount": "123456789012"}, "nobody of another account"
        assert "aws-service-role/autoscaling.amazonaws.com" in condition["ArnLike"]["aws:PrincipalArn"]


def test_every_key_stands_where_version_0_1_0_had_it(run: Run) -> None:
    aliases = {one.name: one.aliases for one in run("site", "local-aws").of_type(KEYS[Cloud.AWS])}
    assert aliases == {"keys-secrets": 1, "keys-images": 1, "keys-data": 1, "keys-disks": 0, "keys-logs": 0}


def test_serving_reads_releases_and_writes_captured_data_and_nothing_else(run: Run, name: str) -> None:
    site = run("site", f"{name}-aws")
    bucket = site.the(BUCKETS[Cloud.AWS], "bucket-bucket").inputs["bucket"]
    listing, reading, writing = statements(site, ROLE_POLICY, "identity-serving-permissions")
    assert listing["Action"] == ["s3:ListBucket"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "releases/*"}}
    assert (reading["Action"], reading["Resource"]) == (["s3:GetObject"], [f"arn:aws:s3:::{bucket}/releases/*"])
    assert (writing["Action"], writing["Resource"]) == (["s3:PutObject"], [f"arn:aws:s3:::{bucket}/captured/*"])
    (key,) = statements(site, ROLE_POLICY, "identity-serving-key")
    assert key["Condition"]["StringEquals"]["kms:ViaService"].startswith("s3."), "the key through S3 alone"


@pytest.mark.parametrize("name", ["longestname1", "given"])
def test_ci_is_trusted_for_one_subject_of_one_issuer(run: Run, name: str, spec: Environment) -> None:
    assert spec.ci is not None
    site, issuer = run("site", f"{name}-aws"), spec.ci.issuer.removeprefix("https://")
    (trust,) = statements(site, ROLE, "identity-deployer", "assumeRolePolicy")
    assert trust["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{issuer}"}
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": spec.ci.subject}
    }
    made = site.of_type("aws:iam/openIdConnectProvider:OpenIdConnectProvider")
    assert len(made) == (name != "given"), "an account has one for an issuer"
    assert set(mocks.opened(site.exports["deployer"])) == {"role", "region"}
    allowed = [
        action for one in statements(site, ROLE_POLICY, "identity-deployer-permissions") for action in one["Action"]
    ]
    assert not [one for one in allowed if one.endswith("*") or one.startswith(("iam:", "ec2:", "kms:"))]
    assert "s3:DeleteObject" not in allowed


def test_no_key_of_an_account_is_ever_made(run: Run, name: str) -> None:
    kinds = {one.type for one in run("site", f"{name}-aws").resources}
    assert not {kind for kind in kinds if kind.startswith(("aws:iam/accessKey", "aws:iam/user"))}


def test_a_named_subnet_must_not_give_public_addresses() -> None:
    private = importlib.import_module("trihull_infra.providers.aws.network").private  # with the SDK, so not before
    assert private("subnet-1", public=False) == "subnet-1"
    with pytest.raises(SpecError, match="private_subnets: subnet-1 gives machines public addresses"):
        private("subnet-1", public=True)


def test_named_subnets_are_looked_up_in_their_network() -> None:
    site = register(with_existing({"network": NETWORK}), Cloud.AWS)
    looked_up = [arguments for token, arguments, _ in site.invokes if token == "aws:ec2/getSubnet:getSubnet"]
    assert looked_up == [{"id": subnet, "vpcId": NETWORK["id"]} for subnet in NETWORK["private_subnets"]]


NETWORK = {
    "id": "vpc-0123456789abcdef0",
    "private_subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
}
EXISTING_KEY = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def with_existing(existing: Mapping[str, Any]) -> dict[str, Any]:
    environment = local()
    environment["clouds"]["aws"]["existing"] = dict(existing)
    return environment


def test_of_a_network_that_is_there_nothing_is_made_or_changed() -> None:
    site = register(with_existing({"network": NETWORK}), Cloud.AWS)
    assert not [one for one in site.resources if one.type.startswith("aws:ec2/") and one.type != TEMPLATE]
    cluster = site.the(CLUSTERS[Cloud.AWS]).inputs
    assert cluster["vpcConfig"]["subnetIds"] == NETWORK["private_subnets"]


def test_a_key_that_is_there_serves_every_purpose() -> None:
    site = register(with_existing({"key": EXISTING_KEY}), Cloud.AWS)
    assert not site.of_type(KEYS[Cloud.AWS])
    assert site.the(CLUSTERS[Cloud.AWS]).inputs["encryptionConfig"]["provider"]["keyArn"] == EXISTING_KEY
    assert site.the(REGISTRIES[Cloud.AWS]).inputs["encryptionConfigurations"][0]["kmsKey"] == EXISTING_KEY
    assert site.the(TRAIL).inputs["kmsKeyId"] == EXISTING_KEY
    disks = site.the(TEMPLATE).inputs["blockDeviceMappings"]
    assert [disk["ebs"]["kmsKeyId"] for disk in disks] == [EXISTING_KEY]


FIXED: dict[str, tuple[str, Change]] = {
    "the cluster's key": (CLUSTERS[Cloud.AWS], lambda one: one["encryptionConfig"]["provider"].update(keyArn="other")),
    "the cluster's services": (
        CLUSTERS[Cloud.AWS],
        lambda one: one["kubernetesNetworkConfig"].update(serviceIpv4Cidr="10.9.0.0/16"),
    ),
    "the registry's key": (REGISTRIES[Cloud.AWS], lambda one: one.update(encryptionConfigurations=None)),
}


@pytest.mark.parametrize("what", sorted(FIXED))
def test_what_is_fixed_at_creation_is_never_asked_for_again(run: Run, what: str) -> None:
    token, change = FIXED[what]
    resource = run("site", "local-aws").the(token)
    inputs = json.loads(json.dumps(resource.inputs))
    change(inputs)
    changes = Recorder("aws").difference(token, resource.inputs, inputs).changes
    assert changes
    assert all(one.path.startswith(tuple(resource.ignore_changes)) for one in changes)


def test_policies_name_the_partition_of_the_region() -> None:
    environment = local()
    environment["clouds"]["aws"] |= {"region": "us-gov-west-1", "zones": ["us-gov-west-1a", "us-gov-west-1b"]}
    site = register(environment, Cloud.AWS)
    assert {
        one.inputs["policyArn"].split(":")[1]
        for one in site.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    } == {"aws-us-gov"}
    assert "arn:aws:" not in site.the(POLICY, "logs-policy").inputs["policy"]
