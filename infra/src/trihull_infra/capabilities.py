"""What clouds can not do alike, declared in their `capabilities.toml` and never asked by `if cloud ==`."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trihull_infra.cloud import Cloud


@dataclass(frozen=True)
class ZoneCapabilities:
    """How a cloud hosts DNS zones, and how its DNS watches routers.

    Args:
        pattern: what names an existing zone there.
        words: the same in words, such as `the id of a hosted zone`.
        interval_s: seconds between two checks of a router.
        failures: how many in a row make a router unwell.
        timeout_s: what one check may take where we set it, else 0.
        in_group: whether a zone lies in a resource group, which must be named as well.
        named_by_domain: whether a zone is named by its domain, so that names outside it can be refused.
    """

    pattern: str
    words: str
    interval_s: int
    failures: int
    timeout_s: int = 0
    in_group: bool = False
    named_by_domain: bool = False


@dataclass(frozen=True)
class Capabilities:
    """How a cloud differs from the others.

    Args:
        service_annotations: make a Service of type LoadBalancer a layer-4 one.
        spot_taints: taints (all NoSchedule, key to value) that the cloud itself puts on spot nodes.
        accelerator_taints: the same, on nodes with accelerators.
        identity_endpoints: networks, to the TCP port, where a pod gets the credentials of its own workload identity;
            no others of the link-local addresses are reached by pods.
        node_autoscaler: whether pools only grow and shrink by an autoscaler that is ours to run in the cluster.
        node_autoscaler_arguments: what that is told of the cloud; `{cluster}` is the cluster's name.
        node_autoscaler_variables: environment variables of it; `{region}` is the site's region.
        spot_by_priorities: whether the cluster's autoscaler is told to prefer spot by a ConfigMap of priorities.
        device_plugin: whether the plugin that hands out accelerators is ours to run in the cluster.
        zone: how the cloud hosts DNS zones; None where it hosts none.
        differs: a property -> the reason why it is not what the other clouds have.
    """

    service_annotations: Mapping[str, str] = field(default_factory=dict)
    spot_taints: Mapping[str, str] = field(default_factory=dict)
    accelerator_taints: Mapping[str, str] = field(default_factory=dict)
    identity_endpoints: Mapping[str, int] = field(default_factory=dict)
    node_autoscaler: bool = False
    node_autoscaler_arguments: Sequence[str] = ()
    node_autoscaler_variables: Mapping[str, str] = field(default_factory=dict)
    spot_by_priorities: bool = False
    device_plugin: bool = False
    zone: ZoneCapabilities | None = None
    differs: Mapping[str, str] = field(default_factory=dict)


def capabilities(cloud: Cloud) -> Capabilities:
    """Read what a cloud declares, without importing its SDK; nothing differs where it declares nothing."""
    path = Path(__file__).parent / "providers" / cloud / "capabilities.toml"
    if not path.is_file():
        return Capabilities()
    declared = tomllib.loads(path.read_text(encoding="utf-8"))
    zone = declared.pop("zone", None)
    return Capabilities(**declared, zone=None if zone is None else ZoneCapabilities(**zone))
