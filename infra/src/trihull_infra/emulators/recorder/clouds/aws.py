"""AWS as `pulumi_aws` shows it: ARNs, ids with a prefix, names, EKS endpoints, ECR addresses."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from trihull_infra.emulators.recorder.answers import Answer, Request
from trihull_infra.emulators.recorder.clouds import aws_eks
from trihull_infra.emulators.recorder.clouds.aws_eks import identity, server
from trihull_infra.emulators.recorder.clouds.aws_functions import ACCOUNT, ZONES, invoke
from trihull_infra.emulators.recorder.facts import Facts

__all__ = [
    "ACCOUNT",
    "CLUSTERS",
    "REGISTRIES",
    "SITE",
    "answer",
    "identity",
    "invoke",
    "name_limit",
    "naming",
    "region",
    "server",
]

SITE: Final = "aws"
CLUSTERS: Final = ("aws:eks/cluster:Cluster",)
REGISTRIES: Final = ("aws:ecr/repository:Repository",)

# Resource ids as EC2 draws them: a prefix and 17 hexadecimal digits.
PREFIXES: Final = {
    "aws:ec2/vpc:Vpc": "vpc",
    "aws:ec2/subnet:Subnet": "subnet",
    "aws:ec2/internetGateway:InternetGateway": "igw",
    "aws:ec2/natGateway:NatGateway": "nat",
    "aws:ec2/eip:Eip": "eipalloc",
    "aws:ec2/routeTable:RouteTable": "rtb",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc",
    "aws:ec2/securityGroup:SecurityGroup": "sg",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt",
    "aws:ec2/flowLog:FlowLog": "fl",
    "aws:ec2/networkAcl:NetworkAcl": "acl",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "sgr",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "sgr",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": "a",
}
# Parts of one bucket's configuration carry the bucket's name as their id.
BUCKET_PARTS: Final = ("Versioning", "ServerSide", "PublicAccess", "Ownership", "Policy", "Lifecycle", "Logging", "Acl")


def region(configuration: Mapping[str, Any]) -> str:
    """Return the region a provider works in."""
    return str(configuration.get("region") or "us-east-1")


def naming(facts: Facts) -> tuple[str, str] | None:
    """Return (property, style) of a type's name when the provider makes one up: `name-1a2b3c4`; else None."""
    for name in ("bucket", "nodeGroupName", "name"):
        prop = facts.inputs.get(name)
        if prop and not prop.required and name in facts.outputs and facts.outputs[name].required:
            return None if name == "bucket" and "/bucket:" not in facts.token else (name, "dashed")
    return None


def name_limit(token: str) -> int:
    """Return the longest name the cloud takes (S3: bucket naming rules; IAM, EKS, Scheduler: API reference)."""
    return 63 if token.startswith("aws:s3/") else 64 if token.startswith(("aws:iam/", "aws:scheduler/")) else 100


def answer(request: Request) -> Answer:
    """Return a resource's id and computed outputs."""
    token = request.facts.token
    where = request.text("region") or request.place.region
    rule = RULES.get(token)
    resource_id, outputs = rule(request, where) if rule else _generic(request, where)
    shared: dict[str, Any] = {"region": where, "tagsAll": _tags(request)}
    if "arn" in request.facts.outputs:
        shared["arn"] = _arn(request, where, resource_id)
    return Answer(resource_id, {**shared, **outputs})


def _tags(request: Request) -> dict[str, Any]:
    default = request.place.configuration.get("defaultTags") or {}
    tags = default.get("tags") if isinstance(default, Mapping) else None
    own = request.inputs.get("tags")
    return {**(tags or {}), **(own if isinstance(own, Mapping) else {})}


def _arn(request: Request, where: str, resource_id: str) -> str:
    _, module, kind = request.facts.token.split(":")
    service = module.partition("/")[0]
    return f"arn:aws:{service}:{where}:{ACCOUNT}:{kind[0].lower()}{kind[1:]}/{resource_id}"


def _generic(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    token = request.facts.token
    if token in PREFIXES:
        resource_id = f"{PREFIXES[token]}-{request.hex('id', 17)}"
        return resource_id, _network(request, where, resource_id)
    if token.startswith("aws:s3/bucket") and any(part in token for part in BUCKET_PARTS):
        return request.text("bucket"), {}
    if token.startswith("aws:eks/") and request.inputs.get("clusterName"):
        rest = [request.text(key) for key in ("addonName", "principalArn", "policyArn", "fargateProfileName")]
        return ":".join([request.text("clusterName"), *filter(None, rest)]), {}
    name = request.text("name") or f"{request.name}-{request.hex('id', 17)}"
    outputs = {"name": name} if "name" in request.facts.outputs else {}
    return name, outputs


def _network(request: Request, where: str, resource_id: str) -> dict[str, Any]:
    short = resource_id.partition("-")[0]
    arn = f"arn:aws:ec2:{where}:{ACCOUNT}"
    names = {
        "vpc": "vpc",
        "igw": "internet-gateway",
        "nat": "natgateway",
        "eipalloc": "elastic-ip",
        "rtb": "route-table",
        "sg": "security-group",
        "vpce": "vpc-endpoint",
        "lt": "launch-template",
        "fl": "vpc-flow-log",
        "acl": "network-acl",
        "sgr": "security-group-rule",
    }
    outputs: dict[str, Any] = {"ownerId": ACCOUNT, "arn": f"{arn}:{names.get(short, short)}/{resource_id}"}
    if short == "vpc":
        parts = {"mainRouteTableId": "rtb", "defaultRouteTableId": "rtb", "defaultNetworkAclId": "acl"}
        outputs |= {key: f"{prefix}-{request.hex(prefix, 17)}" for key, prefix in parts.items()}
        outputs |= {"defaultSecurityGroupId": f"sg-{request.hex('sg', 17)}", "dhcpOptionsId": "dopt-default"}
    elif short == "subnet":
        zone = request.text("availabilityZone") or f"{where}{ZONES[request.number('zone', 0, len(ZONES))]}"
        outputs |= {"availabilityZone": zone, "availabilityZoneId": f"{where}-az{ord(zone[-1]) - 96}"}
    elif short == "eipalloc":
        address = f"198.18.{request.number('ip', 0, 256)}.{request.number('host', 1, 255)}"  # RFC 2544: never routed
        outputs |= {"allocationId": resource_id, "publicIp": address, "domain": "vpc"}
    elif short == "a":
        cluster = request.text("clusterName")
        association = f"arn:aws:eks:{where}:{ACCOUNT}:podidentityassociation/{cluster}/{resource_id}"
        outputs = {"associationId": resource_id, "associationArn": association}
    elif short == "vpce":
        outputs |= {"state": "available", "requesterManaged": False}
    elif short == "lt":
        outputs |= {"latestVersion": 1, "defaultVersion": 1}
    elif short == "sgr":
        outputs |= {"securityGroupRuleId": resource_id}
    return outputs


def _bucket(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name = request.text("bucket")
    return name, {
        "arn": f"arn:aws:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegion": where,
        "bucketRegionalDomainName": f"{name}.s3.{where}.amazonaws.com",
    }


def _repository(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name = request.text("name")
    return name, {
        "arn": f"arn:aws:ecr:{where}:{ACCOUNT}:repository/{name}",
        "registryId": ACCOUNT,
        "repositoryUrl": f"oci-layout://{request.place.registries / SITE / name}",
    }


def _key(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    key = request.uuid("key")
    return key, {
        "arn": f"arn:aws:kms:{where}:{ACCOUNT}:key/{key}",
        "keyId": key,
        "rotationPeriodInDays": request.inputs.get("rotationPeriodInDays", 365),
        "policy": request.text("policy") or _default_key_policy(),
        "multiRegion": bool(request.inputs.get("multiRegion")),
    }


def _default_key_policy() -> str:
    root = f"arn:aws:iam::{ACCOUNT}:root"
    statement = {"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": root}}
    return json.dumps(
        {
            "Id": "key-default-1",
            "Statement": [{**statement, "Action": "kms:*", "Resource": "*"}],
            "Version": "2012-10-17",
        }
    )


def _alias(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name = request.text("name")
    key = request.text("targetKeyId").rpartition("/")[2]
    return name, {
        "arn": f"arn:aws:kms:{where}:{ACCOUNT}:{name}",
        "targetKeyArn": f"arn:aws:kms:{where}:{ACCOUNT}:key/{key}",
    }


def _role(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name, path = request.text("name"), request.text("path") or "/"
    return name, {
        "arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
        "createDate": request.created,
        "uniqueId": f"AROA{request.hex('unique', 17).upper()}",
        "maxSessionDuration": request.inputs.get("maxSessionDuration", 3600),
    }


def _policy(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    arn = f"arn:aws:iam::{ACCOUNT}:policy{request.text('path') or '/'}{request.text('name')}"
    return arn, {"arn": arn, "policyId": f"ANPA{request.hex('unique', 17).upper()}"}


def _attachment(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    return f"{request.text('role')}/{request.text('policyArn')}", {}


def _role_policy(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    return f"{request.text('role')}:{request.text('name')}", {}


def _log_group(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name = request.text("name")
    return name, {"arn": f"arn:aws:logs:{where}:{ACCOUNT}:log-group:{name}"}


def _trail(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    arn = f"arn:aws:cloudtrail:{where}:{ACCOUNT}:trail/{request.text('name')}"
    return arn, {"arn": arn, "homeRegion": where}


def _group_tag(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    tag = request.inputs.get("tag")
    key = tag.get("key") if isinstance(tag, Mapping) else ""
    return f"{request.text('autoscalingGroupName')},{key}", {}


def _schedule_group(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name = request.text("name")
    arn = f"arn:aws:scheduler:{where}:{ACCOUNT}:schedule-group/{name}"
    dates = {"creationDate": request.created, "lastModificationDate": request.created}
    return name, {"arn": arn, "state": "ACTIVE", **dates}


def _schedule(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name = f"{request.text('groupName') or 'default'}/{request.text('name')}"
    return name, {"arn": f"arn:aws:scheduler:{where}:{ACCOUNT}:schedule/{name}"}


def _queue(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name = request.text("name")
    url = f"https://sqs.{where}.amazonaws.com/{ACCOUNT}/{name}"
    return url, {"arn": f"arn:aws:sqs:{where}:{ACCOUNT}:{name}", "url": url}


def _oidc_provider(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{request.text('url').removeprefix('https://')}"
    return arn, {"arn": arn}


def _health_check(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    check = request.uuid("check")
    return check, {"arn": f"arn:aws:route53:::healthcheck/{check}"}


def _record(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name = request.text("name").lower().removesuffix(".")
    parts = [request.text("zoneId"), name, request.text("type"), request.text("setIdentifier")]
    return "_".join(filter(None, parts)), {"fqdn": name}


RULES: Final[Mapping[str, Callable[[Request, str], tuple[str, dict[str, Any]]]]] = {
    "aws:s3/bucket:Bucket": _bucket,
    "aws:ecr/repository:Repository": _repository,
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": lambda r, _: (r.text("repository"), {"registryId": ACCOUNT}),
    **aws_eks.RULES,
    "aws:cloudtrail/trail:Trail": _trail,
    "aws:autoscaling/tag:Tag": _group_tag,
    "aws:kms/key:Key": _key,
    "aws:kms/alias:Alias": _alias,
    "aws:iam/role:Role": _role,
    "aws:iam/policy:Policy": _policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attachment,
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _oidc_provider,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:scheduler/scheduleGroup:ScheduleGroup": _schedule_group,
    "aws:scheduler/schedule:Schedule": _schedule,
    "aws:sqs/queue:Queue": _queue,
    "aws:route53/healthCheck:HealthCheck": _health_check,
    "aws:route53/record:Record": _record,
}
