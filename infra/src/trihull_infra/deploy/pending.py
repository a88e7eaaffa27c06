"""What an earlier run was doing when it was killed, and what can be made of it.

A plain `up` would create such a resource again and keep the pending entry for ever; so it is looked at first. Where the
id follows from the inputs (names are deterministic), the resource is put into the state and a refresh finds out whether
it is there. (Tried and measured: the engine's own `--import-pending-creates` loses the resource.)
"""

from collections.abc import Mapping
from typing import Any, Final

# Types whose id is one of their inputs. Source: "Import" in each type's page of the Pulumi registry.
ID_INPUT: Final[Mapping[str, str]] = {
    "aws:s3/bucket:Bucket": "bucket",
    "aws:eks/cluster:Cluster": "name",
    "aws:ecr/repository:Repository": "name",
    "aws:iam/role:Role": "name",
    "aws:cloudwatch/logGroup:LogGroup": "name",
    "gcp:storage/bucket:Bucket": "name",
}


def operations(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pending operations of an exported state (its `deployment`)."""
    return [dict(operation) for operation in state.get("pending_operations") or ()]


def creates(state: Mapping[str, Any]) -> list[str]:
    """Return the URNs of resources that were being made."""
    return [one["resource"]["urn"] for one in operations(state) if one.get("type") == "creating"]


def adopt(state: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the state without pending operations that can be resolved, and the URNs of creates that cannot.

    A create whose id is known becomes a resource with that id: a refresh must follow, which drops it when the cloud
    does not have it. A pending delete or update is dropped: the resource is still in the state, and deleting what is
    gone is no error. Other creates stay pending.
    """
    resources = list(state.get("resources") or ())
    known = {resource["urn"] for resource in resources}
    left: list[dict[str, Any]] = []
    for operation in operations(state):
        resource = dict(operation["resource"])
        if operation.get("type") != "creating":
            continue
        if resource["urn"] in known:  # a replacement was being made beside the old one
            left.append(operation)
            continue
        identity = resource.get("id") or (resource.get("inputs") or {}).get(ID_INPUT.get(resource["type"], ""))
        if isinstance(identity, str) and identity:
            resources.append({**resource, "id": identity, "outputs": dict(resource.get("inputs") or {})})
        else:
            left.append(operation)
    changed = {**state, "resources": resources, "pending_operations": left}
    return changed, [operation["resource"]["urn"] for operation in left]


def advice(stack: str, environment: str, urns: list[str]) -> str:
    """Return the message for creates of which nobody can tell whether they happened."""
    return (
        f"an earlier run on {stack} was killed while it was making {', '.join(urns)}. Look in the cloud whether they "
        f"are there and remove what is; then run `trihull refresh {environment} --clear-pending` and try again"
    )
