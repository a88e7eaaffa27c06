"""AWS's answers, against moto; what moto cannot (EC2's quotas, versions of EKS) is answered in its place."""

import datetime
import socket
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend

from tests.unit.infra.doctor.conftest import Asking, only, statuses
from trihull_infra.cloud import Cloud
from trihull_infra.doctor import aws, needs
from trihull_infra.doctor.findings import Status

REGION = "us-east-1"
LIMITS = {"L-1216C47A": 128.0, "L-34B43A08": 64.0, "L-DB2E81BA": 48.0, "L-3819A6DF": 48.0, "L-0263D0A3": 5.0}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


@pytest.fixture
def limits(account: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The limits that Service Quotas tells of EC2; of VPC moto has its own."""
    del account
    found = dict(LIMITS)
    real = ServiceQuotasBackend.get_service_quota

    def get(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
        if service_code != "ec2":
            return real(self, service_code, quota_code)
        if quota_code not in found:
            raise NoSuchResource
        return {"QuotaCode": quota_code, "QuotaName": f"name of {quota_code}", "Value": found[quota_code]}

    monkeypatch.setattr(ServiceQuotasBackend, "get_service_quota", get)
    return found


def refusing(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@pytest.mark.usefixtures("account")
def test_credentials_of_the_account_are_named(asked: Asking) -> None:
    found = aws.credentials(asked(Cloud.AWS))
    assert statuses(found) == [Status.OK, Status.WARNING]  # moto's caller is no administrator
    assert "account 123456789012" in found[0].seen
    assert "none of clouds.aws.administrators" in found[1].seen


@pytest.mark.usefixtures("account")
def test_an_assumed_role_that_administers_is_known_by_its_name(asked: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/a/somebody"}

    class Sts:
        def get_caller_identity(self) -> dict[str, str]:
            return answer

    monkeypatch.setattr(aws, "_client", lambda *_: Sts())
    assert statuses(aws.credentials(asked(Cloud.AWS))) == [Status.OK]
    answer["Arn"] = "arn:aws:sts::123456789012:assumed-role/other/a"
    assert statuses(aws.credentials(asked(Cloud.AWS))) == [Status.OK, Status.WARNING]


@pytest.mark.usefixtures("account")
def test_credentials_of_another_account_are_refused(asked: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "210987654321")
    found = only(aws.credentials(asked(Cloud.AWS)))
    assert found.status is Status.FAILED
    assert "210987654321" in found.seen
    assert "123456789012" in found.seen
    assert "AWS_PROFILE" in found.do


@pytest.mark.usefixtures("account")
def test_services_of_the_region_answer(asked: Asking) -> None:
    assert only(aws.apis(asked(Cloud.AWS))).status is Status.OK


def test_there_is_room_for_what_is_asked_for(limits: dict[str, float], asked: Asking) -> None:
    found = aws.quotas(asked(Cloud.AWS))
    assert statuses(found) == [Status.OK] * len(found)
    seen = "\n".join(one.seen for one in found)
    # Standard: 4 system nodes of 4 vCPUs and 9 of 8, since on-demand may take over from spot; 4 of 8 are spot.
    assert "name of L-1216C47A, vCPUs: needs 88, 128 of 128 free" in seen
    assert "name of L-34B43A08, vCPUs: needs 32, 64 of 64 free" in seen
    # Three T4 nodes of each kind; an address for the NAT gateway of each zone.
    assert "name of L-DB2E81BA, vCPUs: needs" in seen
    assert "name of L-3819A6DF, vCPUs: needs" in seen
    assert "name of L-0263D0A3, addresses: needs 3, 5 of 5 free" in seen
    assert "NAT gateways per Availability Zone" in seen
    assert "VPCs per Region" in seen


def test_what_is_missing_is_told_with_the_command_that_asks_for_it(limits: dict[str, float], asked: Asking) -> None:
    limits["L-DB2E81BA"] = 0
    found = [one for one in aws.quotas(asked(Cloud.AWS)) if one.status is Status.FAILED]
    assert "L-DB2E81BA" in only(found).seen
    assert "request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA" in only(found).do
    assert f"--region {REGION}" in only(found).do


def test_machines_of_others_take_room_and_those_of_this_environment_do_not(
    limits: dict[str, float], asked: Asking
) -> None:
    def room() -> str:
        return next(one.seen for one in aws.quotas(asked(Cloud.AWS)) if "L-1216C47A" in one.seen)

    before = room()
    ec2 = boto3.client("ec2", region_name=REGION)
    named = {"Name": "name", "Values": ["Windows_Server-2016-English-Nano-Base-*"]}  # all 1,301 would take seconds
    image = ec2.describe_images(Filters=[named])["Images"][0]["ImageId"]
    ours = [{"Key": "application", "Value": "trihull"}, {"Key": "environment", "Value": "longestname1"}]
    spec = {"ResourceType": "instance", "Tags": ours}
    ec2.run_instances(ImageId=image, InstanceType="m5.xlarge", MinCount=1, MaxCount=1, TagSpecifications=[spec])
    assert room() == before
    ec2.run_instances(ImageId=image, InstanceType="m5.xlarge", MinCount=2, MaxCount=2)
    after = room()
    assert after != before
    assert "120 of 128 free" in after
    assert limits["L-1216C47A"] == 128


@pytest.mark.parametrize(("default", "status"), [(5.0, Status.OK), (0.0, Status.FAILED), (None, Status.NOT_ASKED)])
def test_a_quota_of_no_value_of_its_own_has_the_default_and_is_never_guessed(
    default: float | None, status: Status, asked: Asking
) -> None:
    class Told:  # moto has no defaults
        def get_service_quota(self, **_: str) -> dict[str, Any]:
            raise refusing("GetServiceQuota", "NoSuchResourceException")

        def get_aws_default_service_quota(self, **_: str) -> dict[str, Any]:
            if default is None:
                raise refusing("GetAWSDefaultServiceQuota", "NoSuchResourceException")
            return {"Quota": {"QuotaName": "EC2-VPC Elastic IPs", "Value": default}}

    assert aws._against(asked(Cloud.AWS), Told(), aws.ADDRESSES, 3, 0, "addresses").status is status


def test_a_network_that_is_there_needs_no_address(limits: dict[str, float], asked: Asking) -> None:
    limits["L-0263D0A3"] = 0
    clouds = asked(Cloud.AWS).environment.model_dump(mode="json", by_alias=True)["clouds"]
    given = {"id": "vpc-0123456789abcdef0", "private_subnets": [f"subnet-0123456789abcde{n:02}" for n in range(3)]}
    clouds["aws"]["existing"] = {"network": given}
    found = aws.quotas(asked(Cloud.AWS, clouds=_without_none(clouds)))
    assert statuses(found) == [Status.OK] * len(found)
    assert not [one for one in found if "address" in one.seen]


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return value


@pytest.mark.parametrize(
    ("instance_type", "name"),
    [
        ("m7i.large", "standard"),
        ("t3.small", "standard"),
        ("inf2.xlarge", "standard"),
        ("g4dn.xlarge", "g"),
        ("vt1.3xlarge", "g"),
        ("p4d.24xlarge", "p"),
        ("p5.4xlarge", "p5"),
    ],
)
def test_a_type_counts_in_the_quota_of_its_family(instance_type: str, name: str) -> None:
    assert aws.family(instance_type) == name


@pytest.mark.usefixtures("account")
def test_types_that_zones_have_are_offered(asked: Asking) -> None:
    found = aws.offers(asked(Cloud.AWS))
    assert Status.FAILED not in statuses(found)
    assert all("us-east-1" in one.seen for one in found)


def test_a_type_that_some_or_no_zone_has_is_told(asked: Asking) -> None:
    wanted = needs.nodes(asked(Cloud.AWS).environment, Cloud.AWS)
    first = wanted[0].types[0]
    zones = ("us-east-1a", "us-east-1b")
    assert statuses(aws.offered(wanted[:1], zones, {(first, zone) for zone in zones})) == [Status.OK]
    some = only(aws.offered(wanted[:1], zones, {(first, "us-east-1a")}))
    assert (some.status, "us-east-1b" in some.seen) == (Status.WARNING, True)
    assert only(aws.offered(wanted[:1], zones, set())).status is Status.FAILED


@pytest.mark.parametrize(
    ("status", "support", "wanted"),
    [
        ("STANDARD_SUPPORT", "standard", Status.OK),
        ("EXTENDED_SUPPORT", "standard", Status.FAILED),
        ("EXTENDED_SUPPORT", "extended", Status.OK),
        ("UNSUPPORTED", "extended", Status.FAILED),
    ],
)
def test_a_version_must_be_supported(
    status: str, support: str, wanted: Status, asked: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Eks:
        def describe_cluster_versions(self, **arguments: Any) -> dict[str, Any]:
            assert arguments == {"clusterVersions": ["1.33"]}
            until = datetime.datetime(2026, 7, 29, tzinfo=datetime.UTC)
            return {"clusterVersions": [{"versionStatus": status, "endOfStandardSupportDate": until}]}

    monkeypatch.setattr(aws, "_client", lambda *_: Eks())
    found = only(aws.versions(asked(Cloud.AWS, upgrades={"support": support})))
    assert (found.status, "until 2026-07-29" in found.seen) == (wanted, True)


@pytest.mark.usefixtures("account")
def test_a_cluster_is_found_by_its_name(asked: Asking) -> None:
    assert aws.cluster(asked(Cloud.AWS)) is None
    vpc = {"subnetIds": ["subnet-1", "subnet-2"]}
    role = "arn:aws:iam::123456789012:role/cluster"
    eks = boto3.client("eks", region_name=REGION)
    eks.create_cluster(name="trihull-longestname1", roleArn=role, resourcesVpcConfig=vpc)
    found = aws.cluster(asked(Cloud.AWS))
    assert found is not None
    assert found.host.endswith("eks.amazonaws.com")
    assert found.port == 443


@pytest.mark.parametrize(
    ("error", "status", "seen", "do"),
    [
        (botocore.exceptions.NoCredentialsError(), Status.FAILED, "no credentials", "aws sso login"),
        (botocore.exceptions.ProfileNotFound(profile="x"), Status.FAILED, "no credentials", "AWS_PROFILE"),
        (refusing("GetCallerIdentity", "ExpiredToken"), Status.FAILED, "refuses the credentials", "aws sso login"),
        (refusing("GetCallerIdentity", "InvalidClientTokenId"), Status.FAILED, "refuses", "aws sso login"),
        (refusing("GetServiceQuota", "AccessDeniedException"), Status.WARNING, "GetServiceQuota", "grant"),
        (refusing("DescribeVpcs", "UnauthorizedOperation"), Status.WARNING, "DescribeVpcs", "grant"),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="https://x"),
            Status.FAILED,
            "not reached",
            "HTTPS_PROXY",
        ),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="https://x"), Status.FAILED, "not reached", "network"),
        (refusing("ListClusters", "ServerException"), Status.FAILED, "ServerException", "message"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_says_what_to_do(error: Exception, status: Status, seen: str, do: str) -> None:
    found = aws.problem(error)
    assert found.status is status
    assert seen in found.seen
    assert do in found.do


def test_without_credentials_nothing_is_asked_of_the_network(asked: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(botocore.exceptions.NoCredentialsError):
        aws.credentials(asked(Cloud.AWS))
