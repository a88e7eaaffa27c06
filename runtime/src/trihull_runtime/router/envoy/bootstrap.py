"""Envoy's start: where its files and its admin socket are, and what it refuses before it falls over."""

import hashlib
import json

from trihull_runtime.router.envoy.layout import Layout
from trihull_runtime.router.envoy.values import Json, extension, from_file

MAX_HEAP_BYTES = 1 << 30
MAX_CONNECTIONS = 20_000
# Two release digests in one regular expression are above Envoy's default limit of 100 for its program's size.
RUNTIME: Json = {
    "layers": [
        {
            "name": "trihull",
            "static_layer": {"re2.max_program_size.error_level": 100_000, "re2.max_program_size.warn_level": 100_000},
        },
        {"name": "orders", "admin_layer": {}},  # the control process's own, such as the share of attempts that is timed
    ]
}


def render_bootstrap(layout: Layout) -> Json:
    """Return the bootstrap; `node.metadata.bootstrap` is its digest, by which a running Envoy can be recognised."""
    bootstrap: Json = {
        # no locality: with one Envoy counts every answer by zones as well, which nobody reads
        "node": {"id": "trihull-router", "cluster": "trihull"},
        "admin": {"address": {"pipe": {"path": str(layout.admin_socket), "mode": 0o600}}},
        "dynamic_resources": {"lds_config": from_file(layout.listeners), "cds_config": from_file(layout.clusters)},
        "cluster_manager": {"outlier_detection": {"event_log_path": str(layout.outlier_log)}},
        "overload_manager": _overload(),
        "layered_runtime": RUNTIME,
    }
    digest = hashlib.sha256(json.dumps(bootstrap, sort_keys=True).encode()).hexdigest()
    bootstrap["node"]["metadata"] = {"bootstrap": digest}
    return bootstrap


def _overload() -> Json:
    monitors = "envoy.extensions.resource_monitors"
    heap = extension(
        "envoy.resource_monitors.fixed_heap",
        f"{monitors}.fixed_heap.v3.FixedHeapConfig",
        max_heap_size_bytes=MAX_HEAP_BYTES,
    )
    connections = extension(
        "envoy.resource_monitors.global_downstream_max_connections",
        f"{monitors}.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=MAX_CONNECTIONS,
    )
    trigger = {"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": 0.95}}
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [heap, connections],
        "actions": [{"name": "envoy.overload_actions.stop_accepting_requests", "triggers": [trigger]}],
    }
