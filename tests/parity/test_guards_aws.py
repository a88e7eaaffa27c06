"""What guards a site on AWS: keys, logs, identities, and what is there already and is left as it is."""

import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.changes import local, register
from tests.parity.conftest import Run
from tests.parity.test_traps_aws import LOG_GROUP, LOGGING, POLICY, ROLE, ROLE_POLICY, TEMPLATE, TRAIL, statements
from tests.parity.tokens import BUCKETS, CLUSTERS, KEYS, REGISTRIES
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder.recording import Recorder
from trihull_infra.environment import Environment
from trihull_infra.errors import SpecError

Change = Callable[[dict[str, Any]], None]


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
