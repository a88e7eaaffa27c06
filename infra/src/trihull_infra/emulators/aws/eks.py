"""EKS's control plane. What runs in a cluster is a local cluster's (sites.py)."""

from typing import Any

from trihull_infra.emulators.aws.handler import AwsHandler, Values, given, tag_map
from trihull_infra.emulators.aws.moto import called, gone
from trihull_infra.emulators.plugins.provider import RefusedError

NONE = "ResourceNotFoundException"


class Cluster(AwsHandler):
    """`aws:eks/cluster:Cluster`."""

    service = "eks"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the cluster."""
        name, client = inputs["name"], self.client(region)
        encryption = inputs.get("encryptionConfig")
        arguments = given(
            roleArn=inputs["roleArn"],
            resourcesVpcConfig=_network(inputs),
            version=inputs.get("version"),
            kubernetesNetworkConfig=_only(inputs.get("kubernetesNetworkConfig"), "ipFamily", "serviceIpv4Cidr"),
            encryptionConfig=[encryption] if encryption else None,
            logging=_logging(inputs),
            tags=tag_map(outputs),
        )
        called(f"creating EKS Cluster ({name})", lambda: client.create_cluster(name=name, **arguments))

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change network access and logging, one after the other as EKS asks."""
        name, client = new["name"], self.client(region)
        if old.get("vpcConfig") != new.get("vpcConfig"):
            network = _network(new)
            called(name, lambda: client.update_cluster_config(name=name, resourcesVpcConfig=network))
        if old.get("enabledClusterLogTypes") != new.get("enabledClusterLogTypes"):
            logging = _logging(new) or {"clusterLogging": []}
            called(name, lambda: client.update_cluster_config(name=name, logging=logging))
        called(name, lambda: client.tag_resource(resourceArn=outputs["arn"], tags=tag_map(outputs)))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the cluster; EKS refuses while it is protected or has node groups."""
        name, client = inputs["name"], self.client(region)
        if gone(lambda: client.describe_cluster(name=name), NONE):
            return
        if inputs.get("deletionProtection"):
            raise RefusedError(
                f"deleting EKS Cluster ({name}): InvalidRequestException: deletion protection is on; "
                "deploy it with deletionProtection false first"
            )
        called(f"deleting EKS Cluster ({name})", lambda: client.delete_cluster(name=name))

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the cluster is there."""
        return not gone(lambda: self.client(region).describe_cluster(name=inputs["name"]), NONE)


class NodeGroup(AwsHandler):
    """`aws:eks/nodeGroup:NodeGroup`."""

    service = "eks"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the node group."""
        client, name = self.client(region), inputs["nodeGroupName"]
        taints = [dict(taint) for taint in inputs.get("taints") or []]
        arguments = given(
            clusterName=inputs["clusterName"],
            nodegroupName=name,
            nodeRole=inputs["nodeRoleArn"],
            subnets=inputs["subnetIds"],
            scalingConfig=_scaling(inputs),
            amiType=inputs.get("amiType"),
            capacityType=inputs.get("capacityType"),
            instanceTypes=inputs.get("instanceTypes"),
            diskSize=inputs.get("diskSize"),
            version=inputs.get("version"),
            labels=inputs.get("labels"),
            taints=taints or None,
            launchTemplate=_only(inputs.get("launchTemplate"), "id", "name", "version"),
            tags=tag_map(outputs),
        )
        if "launchTemplate" in arguments:
            arguments.pop("instanceTypes", None)  # moto refuses the two together, where EKS takes them
        called(f"creating EKS Node Group ({name})", lambda: client.create_nodegroup(**arguments))

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change sizes, labels and taints."""
        client = self.client(region)
        labels, before = new.get("labels") or {}, old.get("labels") or {}
        arguments = {
            "clusterName": new["clusterName"],
            "nodegroupName": new["nodeGroupName"],
            "scalingConfig": _scaling(new),
            "labels": {"addOrUpdateLabels": labels, "removeLabels": [key for key in before if key not in labels]},
        }
        called(new["nodeGroupName"], lambda: client.update_nodegroup_config(**arguments))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the node group."""
        names = {"clusterName": inputs["clusterName"], "nodegroupName": inputs["nodeGroupName"]}
        gone(lambda: self.client(region).delete_nodegroup(**names), NONE)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the node group is there."""
        names = {"clusterName": inputs["clusterName"], "nodegroupName": inputs["nodeGroupName"]}
        return not gone(lambda: self.client(region).describe_nodegroup(**names), NONE)


def _network(inputs: Values) -> dict[str, Any]:
    names = ("subnetIds", "securityGroupIds", "endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs")
    return _only(inputs["vpcConfig"], *names) or {}


def _logging(inputs: Values) -> dict[str, Any] | None:
    types = inputs.get("enabledClusterLogTypes")
    return {"clusterLogging": [{"types": types, "enabled": True}]} if types else None


def _scaling(inputs: Values) -> dict[str, int]:
    return {key: int(inputs["scalingConfig"][key]) for key in ("minSize", "maxSize", "desiredSize")}


def _only(value: Any, *names: str) -> dict[str, Any] | None:
    return {name: value[name] for name in names if value.get(name) is not None} if value else None


HANDLERS: dict[str, type[AwsHandler]] = {
    "aws:eks/cluster:Cluster": Cluster,
    "aws:eks/nodeGroup:NodeGroup": NodeGroup,
}
