"""Small pieces of Envoy's JSON that several files need."""

from pathlib import Path
from typing import Any

from trihull_runtime.router.plan import ANY_MODEL, ModelPlan

Json = dict[str, Any]

SITES_CLUSTER = "sites"  # every site once: its health is the router's own (`/routerz`), and probes go through it
SHADOW_CLUSTER = "shadow"  # the control process, which compares what a shadow answers
GRPC_CLUSTER = "grpc"
# Envoy's own namespaces of an endpoint's metadata, {"site": name}. The first selects the site's TLS settings; logs and
# answers have the site's name from it too, since one more would make every endpoint larger.
SOCKET_MATCH = "envoy.transport_socket_match"
SUBSET = "envoy.lb"  # selects a subset of a cluster's endpoints
SITE_NAME = f"%UPSTREAM_METADATA({SOCKET_MATCH}:site)%"


def cluster_name(plan: ModelPlan) -> str:
    """Return the cluster of a model (and class); no model can be named so that two clusters share a name."""
    return "any_model" + plan.key.removeprefix(ANY_MODEL) if plan.model == ANY_MODEL else f"model-{plan.key}"


def canary_cluster_name(plan: ModelPlan) -> str:
    """Return the cluster of a model's canary."""
    return f"{cluster_name(plan)}~canary"


def grpc_cluster_name(residency_class: str | None) -> str:
    """Return the cluster of gRPC requests of a class."""
    return GRPC_CLUSTER if residency_class is None else f"{GRPC_CLUSTER}@{residency_class}"


def typed(kind: str, **fields: Any) -> Json:
    """Return a typed configuration: `kind` is the protobuf message's full name."""
    return {"@type": f"type.googleapis.com/{kind}", **fields}


def extension(name: str, kind: str, **fields: Any) -> Json:
    """Return an extension's name and typed configuration."""
    return {"name": name, "typed_config": typed(kind, **fields)}


def seconds(value: float) -> str:
    """Return a protobuf duration: 0.25 -> `0.250s`."""
    return f"{value:.3f}s"


def percent(value: int) -> Json:
    """Return a runtime fraction of whole percents that no runtime key changes."""
    return {"default_value": {"numerator": value, "denominator": "HUNDRED"}}


def header(key: str, value: str) -> Json:
    """Return a header that is set, whatever stood there."""
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def from_file(path: Path) -> Json:
    """Return a configuration source that Envoy reloads when a file of `path`'s folder is renamed into place."""
    source = {"path": str(path), "watched_directory": {"path": str(path.parent)}}
    return {"resource_api_version": "V3", "path_config_source": source}


def resources(version: str, items: list[Json]) -> Json:
    """Return a discovery response as Envoy reads it from a file."""
    return {"version_info": version, "resources": items}
