"""EKS as `pulumi_aws` shows it: clusters and how they are reached, node groups, add-ons, access entries."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from trihull_infra import kubernetes_versions
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder.answers import Request
from trihull_infra.emulators.recorder.clouds.aws_functions import ACCOUNT
from trihull_infra.emulators.recorder.identities import ClusterIdentity, certificate_authority, digits

KUBERNETES_VERSION: Final = kubernetes_versions.newest(Cloud.AWS)  # when none is asked for


def _cluster(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    name = request.text("name")
    reached = identity(name, request.seed, where)
    issuer = f"https://oidc.eks.{where}.amazonaws.com/id/{request.hex('cluster', 32).upper()}"
    network = request.inputs.get("kubernetesNetworkConfig")
    family = {"ipFamily": "ipv4", "serviceIpv4Cidr": "10.100.0.0/16"}
    vpc = request.inputs.get("vpcConfig")
    return name, {
        "arn": f"arn:aws:eks:{where}:{ACCOUNT}:cluster/{name}",
        "endpoint": reached.server,
        "certificateAuthority": {"data": reached.certificate},
        "identities": [{"oidcs": [{"issuer": issuer}]}],
        "createdAt": request.created,
        "status": "ACTIVE",
        "platformVersion": "eks.1",
        "version": request.text("version") or KUBERNETES_VERSION,
        "kubernetesNetworkConfig": {**family, **(network if isinstance(network, Mapping) else {})},
        "vpcConfig": {
            "endpointPrivateAccess": False,
            "endpointPublicAccess": True,
            "publicAccessCidrs": ["0.0.0.0/0"],
            "clusterSecurityGroupId": f"sg-{request.hex('cluster-sg', 17)}",
            "vpcId": f"vpc-{request.hex('vpc', 17)}",
            **(vpc if isinstance(vpc, Mapping) else {}),
        },
    }


def identity(cluster_id: str, seed: str, where: str) -> ClusterIdentity:
    """Return how an emulated EKS cluster is reached: the form EKS gives its endpoints, drawn from the seed."""
    server = f"https://{digits(cluster_id, seed)[:32].upper()}.gr7.{where}.eks.amazonaws.com"
    return ClusterIdentity(server, certificate_authority(cluster_id, seed))


def server(outputs: Mapping[str, Any]) -> str:
    """Return a recorded cluster's URL."""
    return str(outputs["endpoint"])


def _node_group(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    cluster, name = request.text("clusterName"), request.text("nodeGroupName")
    group = f"eks-{name}-{request.uuid('group')}"
    return f"{cluster}:{name}", {
        "arn": f"arn:aws:eks:{where}:{ACCOUNT}:nodegroup/{cluster}/{name}/{request.uuid('arn')}",
        "status": "ACTIVE",
        "version": request.text("version") or KUBERNETES_VERSION,
        "amiType": request.text("amiType") or "AL2023_x86_64_STANDARD",
        "capacityType": request.text("capacityType") or "ON_DEMAND",
        "diskSize": request.inputs.get("diskSize", 20),
        "instanceTypes": request.inputs.get("instanceTypes", ["t3.medium"]),
        "resources": [{"autoscalingGroups": [{"name": group}], "remoteAccessSecurityGroupId": ""}],
    }


def _addon(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    cluster, name = request.text("clusterName"), request.text("addonName")
    return f"{cluster}:{name}", {
        "arn": f"arn:aws:eks:{where}:{ACCOUNT}:addon/{cluster}/{name}/{request.uuid('arn')}",
        "addonVersion": request.text("addonVersion") or "v1.0.0-eksbuild.1",
        "createdAt": request.created,
        "modifiedAt": request.created,
    }


def _access_entry(request: Request, where: str) -> tuple[str, dict[str, Any]]:
    cluster, principal = request.text("clusterName"), request.text("principalArn")
    kind, _, name = principal.rpartition(":")[2].partition("/")
    return f"{cluster}:{principal}", {
        "accessEntryArn": (
            f"arn:aws:eks:{where}:{ACCOUNT}:access-entry/{cluster}/{kind}/{ACCOUNT}/{name}/{request.uuid('arn')}"
        ),
        "createdAt": request.created,
        "modifiedAt": request.created,
        "userName": request.text("userName") or principal,
    }


RULES: Final[Mapping[str, Callable[[Request, str], tuple[str, dict[str, Any]]]]] = {
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "aws:eks/addon:Addon": _addon,
    "aws:eks/accessEntry:AccessEntry": _access_entry,
}
