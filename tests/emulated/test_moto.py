"""What moto holds is what the program asked for, and nothing is left when it is gone."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.emulated.conftest import Make, OperationError
from trihull_infra.emulators import client
from trihull_infra.emulators.client import Daemon


@pytest.fixture
def account(daemon: Daemon) -> Iterator[Callable[[str], Any]]:
    """boto3 clients of the emulated account, as any user could make them."""
    wanted = client.aws_environment(daemon)
    made: dict[str, Any] = {}

    def service(name: str) -> Any:
        if name not in made:
            made[name] = boto3.client(
                name,
                endpoint_url=wanted["AWS_ENDPOINT_URL"],
                region_name="eu-central-1",
                aws_access_key_id=wanted["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=wanted["AWS_SECRET_ACCESS_KEY"],
            )
        return made[name]

    yield service
    for one in made.values():
        one.close()


def everything(account: Callable[[str], Any]) -> dict[str, list[Any]]:
    return {
        "buckets": account("s3").list_buckets()["Buckets"],
        "clusters": account("eks").list_clusters()["clusters"],
        "repositories": account("ecr").describe_repositories()["repositories"],
        "roles": account("iam").list_roles()["Roles"],
        "policies": account("iam").list_policies(Scope="Local")["Policies"],
        "keys": account("kms").list_keys()["Keys"],
        "aliases": [one for one in account("kms").list_aliases()["Aliases"] if "/aws/" not in one["AliasName"]],
        "logs": account("logs").describe_log_groups()["logGroups"],
    }


def test_the_account_holds_what_was_asked_for_and_is_empty_after_destroy(
    stack: Make, account: Callable[[str], Any]
) -> None:
    site = stack("local-aws", "aws_site", bucket="one-bucket", tags={"purpose": "test"})
    site.up()
    s3 = account("s3")
    assert s3.get_bucket_versioning(Bucket="one-bucket")["Status"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket="one-bucket")["ServerSideEncryptionConfiguration"]["Rules"]
    key = account("kms").list_keys()["Keys"][0]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key["KeyArn"]
    assert account("kms").get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    block = s3.get_public_access_block(Bucket="one-bucket")["PublicAccessBlockConfiguration"]
    assert (block["BlockPublicAcls"], block["BlockPublicPolicy"]) == (True, False)
    assert s3.get_bucket_lifecycle_configuration(Bucket="one-bucket")["Rules"][0]["ID"] == "old"
    assert s3.get_bucket_tagging(Bucket="one-bucket")["TagSet"] == [{"Key": "purpose", "Value": "test"}]
    assert account("eks").describe_nodegroup(clusterName="one", nodegroupName=nodes(account))["nodegroup"]
    assert account("logs").describe_log_groups()["logGroups"][0]["retentionInDays"] == 7
    repository = account("ecr").describe_repositories()["repositories"][0]
    assert repository["imageTagMutability"] == "IMMUTABLE"

    site.options |= {"tags": {}, "parts": False}
    site.up()
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket="one-bucket")
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket="one-bucket")

    s3.put_object(Bucket="one-bucket", Key="captured", Body=b"data")
    s3.delete_object(Bucket="one-bucket", Key="captured")
    site.destroy()
    left = {name: found for name, found in everything(account).items() if found}
    assert left == {}


def nodes(account: Callable[[str], Any]) -> str:
    return str(account("eks").list_nodegroups(clusterName="one")["nodegroups"][0])


def test_what_was_deleted_behind_the_programs_back_is_seen(stack: Make, account: Callable[[str], Any]) -> None:
    site = stack("local-aws", "aws_site", bucket="one-bucket", parts=False)
    site.up()
    account("logs").delete_log_group(logGroupName="/aws/eks/one/cluster")
    assert site.refresh()["delete"] == 1
    assert site.up()["create"] == 1


def test_the_services_own_refusals_reach_the_user(stack: Make) -> None:
    with pytest.raises(OperationError, match=r"attaching .* to IAM Role \(nobody\): NoSuchEntity"):
        stack("local-refused", "attachment_to_nobody").up()


def test_a_repository_with_images_is_kept_unless_forced(stack: Make) -> None:
    site = stack("local-images", "repository", force=False)
    site.up()
    folder = Path(site.outputs["registry"].removeprefix("oci-layout://"))
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{"digest": "sha256:0"}]}))
    with pytest.raises(OperationError, match=r"is not empty: it holds 1 image\(s\); set forceDelete"):
        site.destroy()
    site.options["force"] = True
    site.up()
    site.destroy()
    assert not folder.exists()
