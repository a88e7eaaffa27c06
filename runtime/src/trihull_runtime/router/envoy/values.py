"""Small pieces of Envoy's JSON that several files need."""

from pathlib import Path
from typing import Any

Json = dict[str, Any]

SITES_CLUSTER = "sites"  # every site once: its health is the router's own (`/routerz`); carries no traffic
METADATA = "trihull"  # namespace of an endpoint's metadata: {"site": name}
SOCKET_MATCH = "envoy.transport_socket_match"  # Envoy's own namespace: selects the site's TLS settings


def cluster_name(model: str) -> str:
    """Return the cluster of a model; no model can be named so, nor as another cluster is."""
    return f"model-{model}"


def typed(kind: str, **fields: Any) -> Json:
    """Return a typed configuration: `kind` is the protobuf message's full name."""
    return {"@type": f"type.googleapis.com/{kind}", **fields}


def extension(name: str, kind: str, **fields: Any) -> Json:
    """Return an extension's name and typed configuration."""
    return {"name": name, "typed_config": typed(kind, **fields)}


def seconds(value: float) -> str:
    """Return a protobuf duration: 0.25 -> `0.250s`."""
    return f"{value:.3f}s"


def from_file(path: Path) -> Json:
    """Return a configuration source that Envoy reloads when a file of `path`'s folder is renamed into place."""
    source = {"path": str(path), "watched_directory": {"path": str(path.parent)}}
    return {"resource_api_version": "V3", "path_config_source": source}


def resources(version: str, items: list[Json]) -> Json:
    """Return a discovery response as Envoy reads it from a file."""
    return {"version_info": version, "resources": items}
