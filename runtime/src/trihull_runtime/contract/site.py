"""What a `site` stack gives to the stacks above it: SiteOutputs.

The document travels as Pulumi stack outputs of the same names; `SECRET_FIELDS` are secrets there and never reach a fleet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trihull_runtime.contract.codec import NAME, Document, number, text

SECRET_FIELDS: Final = ("kubeconfig", "router_key", "serving_key")


@dataclass(frozen=True)
class NodePool:
    """Machines of one kind: `vcpus` and `memory_gib` are of one node, `nodes_min` and `nodes_max` of the whole pool."""

    name: str = text(NAME)
    vcpus: int = number(minimum=1)
    memory_gib: float = number(minimum=0.5)
    accelerator: str | None
    nodes_min: int = number(minimum=0)
    nodes_max: int = number(minimum=1)
    spot_share: float = number(minimum=0, maximum=1)


@dataclass(frozen=True)
class SiteOutputs(Document):
    """One cloud's site. Certificates and keys are PEM; `registry` is `host/prefix` or `oci-layout://path`;

    `bucket` is an `s3:// gs:// az:// file://` address; `identities` maps a purpose (`serving`, `router`) to the
    annotations and labels its ServiceAccount needs (`annotations.<key>` and `labels.<key>` -> value).
    """

    version: int
    environment: str = text(NAME)
    cloud: str = text(NAME)
    region: str
    residency: str
    cluster_name: str
    kubernetes_version: str
    kubeconfig: str
    registry: str = text(r"(oci-layout://.+|[^/:]+(:\d+)?(/.+)?)")
    bucket: str = text(r"(s3|gs|az|file)://.+")
    identities: Mapping[str, Mapping[str, str]]
    ca_certificate: str = text(r"(?s)-----BEGIN CERTIFICATE-----.+")
    router_certificate: str = text(r"(?s)-----BEGIN CERTIFICATE-----.+")
    router_key: str
    serving_certificate: str = text(r"(?s)-----BEGIN CERTIFICATE-----.+")
    serving_key: str
    node_pools: tuple[NodePool, ...]
