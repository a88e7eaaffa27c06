"""What AWS says of the account: whose credentials, regions and services, quotas, offers, versions, the cluster.

Sources, looked up on 2026-11-24:
  quota names    AWS, "Spot Instance quotas" (docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html): vCPUs
                 by family; one page names "All P", a later one P5 apart from P4, P3 and P2
  quota codes    AWS General Reference, "Amazon EC2 endpoints and quotas", a stored copy whose links end in the codes;
                 those of addresses and VPCs as several public tools have them (found by the codes). The answer of
                 Service Quotas carries each quota's name, which is printed, so that a wrong code shows
  API names      the models of boto3 1.44 (sts, ec2, service-quotas, eks)
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.config
import botocore.exceptions
from botocore.exceptions import ClientError

from trihull_infra.doctor import findings, needs
from trihull_infra.doctor.findings import Finding
from trihull_infra.doctor.seam import CONNECT_S, READ_S, ApiServer, Asked, pem
from trihull_infra.providers.aws.spec import AwsSpec

# Class of a family -> codes of its quotas in vCPUs: on-demand, spot.
QUOTAS: Final[Mapping[str, tuple[str, str]]] = {
    "standard": ("L-1216C47A", "L-34B43A08"),
    "g": ("L-DB2E81BA", "L-3819A6DF"),
    "p": ("L-417A185B", "L-7212CCBC"),
    "p5": ("L-417A185B", "L-C4BD4855"),
}
ADDRESSES: Final = ("ec2", "L-0263D0A3")
GATEWAYS_BY_ZONE: Final = ("vpc", "L-FE5A380F")
NETWORKS: Final = ("vpc", "L-F678F1CE")
_NO_CREDENTIALS: Final = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.ProfileNotFound,
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.SSOError,
)
_UNREACHED: Final = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
_REFUSED: Final = re.compile(r"ExpiredToken|InvalidClientTokenId|SignatureDoesNotMatch|UnrecognizedClient|AuthFailure")
_FORBIDDEN: Final = re.compile(r"AccessDenied|UnauthorizedOperation|NotAuthorized")
_LOG_IN: Final = "log in (`aws sso login`, or `aws configure`), or set AWS_PROFILE to the right profile"


def _client(asked: Asked, service: str) -> Any:
    config = botocore.config.Config(
        connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": 2, "mode": "standard"}
    )
    return boto3.session.Session(region_name=asked.spec.region).client(service, config=config)


def host(asked: Asked) -> str:
    """Return the URL of the region's token service."""
    endpoint: str = _client(asked, "sts").meta.endpoint_url
    return endpoint


def credentials(asked: Asked) -> Sequence[Finding]:
    """Say who the credentials are of, whether of the environment's account, and whether of an administrator."""
    assert isinstance(asked.spec, AwsSpec)
    found = _client(asked, "sts").get_caller_identity()
    account, arn = found["Account"], found["Arn"]
    if account != asked.spec.account:
        return [
            findings.failed(
                f"credentials of account {account} ({arn}); {asked.environment.name} is for {asked.spec.account}",
                "set AWS_PROFILE to a profile of that account, or correct clouds.aws.account",
            )
        ]
    # An assumed role shows as .../assumed-role/NAME/SESSION, without the path that its own ARN may have.
    role = re.fullmatch(r".*:assumed-role/([^/]+)/.+", arn)
    last = role[1] if role else arn.rpartition("/")[2]
    seen = [findings.ok(f"{arn} of account {account}")]
    if last not in {one.rpartition("/")[2] for one in asked.spec.administrators}:
        seen.append(
            findings.warning(
                f"{last} is none of clouds.aws.administrators: the cluster will not let it in",
                "add the ARN of whoever deploys, or take on one of those roles",
            )
        )
    return seen


def apis(asked: Asked) -> Sequence[Finding]:
    """Say whether the region is on in the account, and whether its services answer these credentials."""
    region = asked.spec.region
    regions = _client(asked, "ec2").describe_regions(RegionNames=[region], AllRegions=True)["Regions"]
    if regions and regions[0].get("OptInStatus") == "not-opted-in":
        return [
            findings.failed(f"region {region} is off in this account", f"enable {region} in the account's settings")
        ]
    _client(asked, "eks").list_clusters(maxResults=1)
    _client(asked, "ecr").describe_repositories(maxResults=1)
    _client(asked, "kms").list_keys(Limit=1)
    return [findings.ok(f"{region}: EC2, EKS, ECR and KMS answer")]


def quotas(asked: Asked) -> Sequence[Finding]:
    """Say whether vCPUs, addresses, gateways and networks are enough; what this environment has is not counted."""
    assert isinstance(asked.spec, AwsSpec)
    ec2, told = _client(asked, "ec2"), _client(asked, "service-quotas")
    used = _used_vcpus(asked, ec2)
    wanted: Counter[str] = Counter()
    for need in needs.nodes(asked.environment, asked.cloud):
        wanted[QUOTAS[family(need.types[0])][need.spot]] += need.vcpus_all
    seen = [_against(asked, told, ("ec2", code), vcpus, used[code], "vCPUs") for code, vcpus in sorted(wanted.items())]
    if asked.spec.existing.network is None:
        own = needs.gateways(asked.environment, asked.cloud)
        addresses = [one for one in ec2.describe_addresses()["Addresses"] if not _ours(asked, one)]
        seen.append(_against(asked, told, ADDRESSES, own, len(addresses), "addresses"))
        seen.append(_against(asked, told, GATEWAYS_BY_ZONE, 1, _most_gateways(asked, ec2), "in a zone"))
        networks = [one for page in ec2.get_paginator("describe_vpcs").paginate() for one in page["Vpcs"]]
        others = len([one for one in networks if not _ours(asked, one)])
        seen.append(_against(asked, told, NETWORKS, 1, others, "networks"))
    return seen


def offers(asked: Asked) -> Sequence[Finding]:
    """Say which instance types the zones do not have."""
    wanted = needs.nodes(asked.environment, asked.cloud)
    types = sorted({one for need in wanted for one in need.types})
    zones = asked.spec.zone_names
    pages = (
        _client(asked, "ec2")
        .get_paginator("describe_instance_type_offerings")
        .paginate(
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": types}, {"Name": "location", "Values": list(zones)}],
        )
    )
    had = {(one["InstanceType"], one["Location"]) for page in pages for one in page["InstanceTypeOfferings"]}
    return offered(wanted, zones, had)


def versions(asked: Asked) -> Sequence[Finding]:
    """Say what EKS says of the Kubernetes version."""
    version = asked.environment.kubernetes_version
    found = _client(asked, "eks").describe_cluster_versions(clusterVersions=[version])["clusterVersions"]
    if not found:
        return [findings.failed(f"EKS has no {version}", "choose a version that EKS has: kubernetes_version")]
    status = str(found[0].get("versionStatus") or found[0].get("status", "")).replace("_", "-").lower()
    until = found[0].get("endOfStandardSupportDate")
    seen = f"{version}: {status}" + (f", standard support until {until:%Y-%m-%d}" if until else "")
    if status == "standard-support" or (
        status == "extended-support" and asked.environment.upgrades.support == "extended"
    ):
        return [findings.ok(seen)]
    return [findings.failed(seen, "raise kubernetes_version by one minor version, or say upgrades.support: extended")]


def cluster(asked: Asked) -> ApiServer | None:
    """Return the EKS cluster's endpoint."""
    assert isinstance(asked.spec, AwsSpec)
    try:
        found = _client(asked, "eks").describe_cluster(name=asked.spec.existing.cluster or asked.name)["cluster"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    if not found.get("endpoint"):
        return None
    parts = urlsplit(found["endpoint"])
    return ApiServer(parts.hostname or "", parts.port or 443, pem(found.get("certificateAuthority", {}).get("data")))


def problem(error: Exception) -> Finding:
    """Say what an error of boto3 means."""
    text = findings.plain(error)
    if isinstance(error, _NO_CREDENTIALS):
        return findings.failed(f"no credentials for AWS: {text}", _LOG_IN)
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        if _REFUSED.search(code):
            return findings.failed(f"AWS refuses the credentials: {code}", _LOG_IN)
        if _FORBIDDEN.search(code):
            action = error.operation_name
            return findings.warning(f"not allowed to ask {action}: {text}", f"grant {action}, or ask who may")
    if isinstance(error, _UNREACHED):
        return findings.failed(
            f"AWS is not reached: {text}", "check network, proxy (HTTPS_PROXY) and the region's name"
        )
    return findings.failed(f"{type(error).__name__}: {text}", "look into the message")


def family(instance_type: str) -> str:
    """Return the class of quotas that an instance type counts in: `m7i.large` -> `standard`."""
    letters = re.match(r"[a-z]+", instance_type)
    name = letters[0] if letters else ""
    if name == "p":
        return "p5" if instance_type.startswith("p5") else "p"
    return "g" if name in ("g", "gr", "vt") else "standard"


def offered(wanted: Sequence[needs.NodesNeed], zones: Sequence[str], had: set[tuple[str, str]]) -> Sequence[Finding]:
    """Say for each half of a pool whether a type is offered in every zone; on-demand is of the first."""
    seen = []
    for need in wanted:
        asked_for = need.types if need.spot else need.types[:1]
        missing = [zone for zone in zones if not any((one, zone) in had for one in asked_for)]
        what = f"{need.pool}: {' or '.join(asked_for)}"
        if not missing:
            seen.append(findings.ok(f"{what} in {', '.join(zones)}"))
        elif len(missing) < len(zones):
            do = "choose zones that have it, or another machine class"
            seen.append(findings.warning(f"{what} is not offered in {', '.join(missing)}", do))
        else:
            do = "choose another machine class, zone or region"
            seen.append(findings.failed(f"{what} is offered in none of {', '.join(zones)}", do))
    return seen


def _ours(asked: Asked, resource: Mapping[str, Any]) -> bool:
    """Whether something carries this environment's tags."""
    tags = {tag["Key"]: tag["Value"] for tag in resource.get("Tags", ())}
    return tags.get("application") == "trihull" and tags.get("environment") == asked.environment.name


def _used_vcpus(asked: Asked, ec2: Any) -> Counter[str]:
    """Return the vCPUs of running instances that are not ours, by the code of the quota that they count in."""
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    there = [
        instance
        for page in ec2.get_paginator("describe_instances").paginate(Filters=running)
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
        if not _ours(asked, instance)
    ]
    types = sorted({one["InstanceType"] for one in there})
    pages = ec2.get_paginator("describe_instance_types").paginate(InstanceTypes=types) if types else ()
    vcpus = {one["InstanceType"]: one["VCpuInfo"]["DefaultVCpus"] for page in pages for one in page["InstanceTypes"]}
    used: Counter[str] = Counter()
    for one in there:
        spot = one.get("InstanceLifecycle") == "spot"
        used[QUOTAS[family(one["InstanceType"])][spot]] += vcpus.get(one["InstanceType"], 0)
    return used


def _most_gateways(asked: Asked, ec2: Any) -> int:
    """Return how many NAT gateways of others the fullest of the site's zones has."""
    zones = {
        one["SubnetId"]: one["AvailabilityZone"]
        for page in ec2.get_paginator("describe_subnets").paginate()
        for one in page["Subnets"]
    }
    there = Counter(
        zones.get(one.get("SubnetId", ""))
        for page in ec2.get_paginator("describe_nat_gateways").paginate()
        for one in page["NatGateways"]
        if one.get("State") not in ("deleted", "failed") and not _ours(asked, one)
    )
    return max((there[zone] for zone in asked.spec.zone_names), default=0)


def _against(asked: Asked, client: Any, quota: tuple[str, str], need: float, used: float, unit: str) -> Finding:
    """Compare with a quota as it is applied to the account, or with AWS's default where none is."""
    service, code = quota
    try:
        found = client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchResourceException":
            raise
        try:
            found = client.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
        except ClientError as absent:
            if absent.response["Error"]["Code"] != "NoSuchResourceException":
                raise
            return findings.not_asked(
                f"{service} {code} ({unit}): AWS tells no quota of this code", "look it up in the console"
            )
    more = f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code}"
    do = f"ask for more: `{more} --desired-value {need + used:g} --region {asked.spec.region}`"
    return findings.compare(f"{found.get('QuotaName', code)}, {unit}", need, float(found["Value"]), used, do)
