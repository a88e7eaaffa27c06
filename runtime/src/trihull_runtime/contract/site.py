"""What a `site` stack gives to the stacks above it: SiteOutputs.

The document travels as Pulumi stack outputs of the same names; `SECRET_FIELDS` are secrets there and never reach a
fleet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from trihull_runtime.contract.codec import Certificate, Document, Name, Pattern, Range

SECRET_FIELDS: Final = ("kubeconfig", "router_key", "serving_key")


@dataclass(frozen=True)
class NodePool:
    """Machines of one kind: `vcpus` and `memory_gib` are of one node, `nodes_min` and `nodes_max` of the whole pool."""

    name: Name
    vcpus: Annotated[int, Range(minimum=1)]
    memory_gib: Annotated[float, Range(minimum=0.5)]
    accelerator: str | None
    nodes_min: Annotated[int, Range(minimum=0)]
    nodes_max: Annotated[int, Range(minimum=1)]
    spot_share: Annotated[float, Range(minimum=0, maximum=1)]


@dataclass(frozen=True)
class SiteOutputs(Document):
    """One cloud's site: what the stacks above it need to know.

    Certificates and keys are PEM; `registry` is `host/prefix` or `oci-layout://path`; `bucket` is an `s3:// gs:// az://
    file://` address; `identities` maps a purpose (`serving`, `router`) to the annotations and labels that its
    ServiceAccount needs (`annotations.<key>` and `labels.<key>` -> value); `deployer` is what CI needs to deploy
    without a key, by name (empty where nothing deploys from CI); `overrides` are the arguments that the environment's
    escape hatch set, `type name: arguments`. The last two came later: a site of an older state lacks them.
    """

    version: int
    environment: Name
    cloud: Name
    region: str
    residency: str
    cluster_name: str
    kubernetes_version: str
    kubeconfig: str
    registry: Annotated[str, Pattern(r"(oci-layout://.+|[^/:]+(:\d+)?(/.+)?)")]
    bucket: Annotated[str, Pattern(r"(s3|gs|az|file)://.+")]
    identities: Mapping[str, Mapping[str, str]]
    ca_certificate: Certificate
    router_certificate: Certificate
    router_key: str
    serving_certificate: Certificate
    serving_key: str
    node_pools: tuple[NodePool, ...]
    deployer: Mapping[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
