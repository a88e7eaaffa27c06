"""Who may reach a workload's pods, and what they may reach: nothing but what a policy here says.

Probes need no rule: traffic between a pod and the machine it runs on is always let through (Kubernetes, "Network
Policies": kubernetes/website, content/en/docs/concepts/services-networking/network-policies.md), which the VPC CNI,
Dataplane V2 and cilium keep. So health and metrics are closed to everybody else, but for namespaces that carry the
label `trihull.internal/monitoring: "true"`.
"""

from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_kubernetes import meta, networking

from trihull_infra import naming, provider
from trihull_infra.program import Program
from trihull_infra.workload.pods import metadata, selector

BOTH_WAYS: Final = ("Ingress", "Egress")
# Where machines get their own credentials and configuration; no pod has any business there.
LINK_LOCAL: Final = (("0.0.0.0/0", "169.254.0.0/16"), ("::/0", "fe80::/10"))


def default_deny(
    begun: Program, opts: pulumi.ResourceOptions, namespace: str = naming.NAMESPACE
) -> networking.v1.NetworkPolicy:
    """Register that no pod of the namespace is reached or reaches anything unless another policy says so."""
    name = f"{namespace}-default-deny"
    return networking.v1.NetworkPolicy(
        name,
        metadata=metadata(begun, name, namespace=namespace),
        spec=networking.v1.NetworkPolicySpecArgs(
            pod_selector=meta.v1.LabelSelectorArgs(), policy_types=list(BOTH_WAYS), ingress=[], egress=[]
        ),
        opts=opts,
    )


def network_policy(
    begun: Program,
    name: str,
    opts: pulumi.ResourceOptions,
    *,
    open_port: str | None = None,
    metrics_port: str | None = None,
    egress_ports: Sequence[int] | None,
    identity: bool = False,
    namespace: str = naming.NAMESPACE,
) -> networking.v1.NetworkPolicy:
    """Register what may reach a workload's pods and what they may reach.

    Args:
        begun: the running program.
        name: the workload.
        opts: the resource's options.
        open_port: the name of the port that everybody may reach (the load balancer keeps callers' addresses).
        metrics_port: the name of the port that namespaces labelled for monitoring may reach.
        egress_ports: TCP ports that the pods may reach anywhere but at link-local addresses; None for every port.
        identity: whether they may reach where the cloud hands out the credentials of their own workload identity.
        namespace: where the pods are.
    """
    monitoring = networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=meta.v1.LabelSelectorArgs(match_labels={naming.MONITORING_LABEL: "true"})
    )
    ingress = []
    if open_port is not None:
        ingress.append(networking.v1.NetworkPolicyIngressRuleArgs(ports=[_port(open_port)]))
    if metrics_port is not None:
        ingress.append(networking.v1.NetworkPolicyIngressRuleArgs(from_=[monitoring], ports=[_port(metrics_port)]))
    # Resolvers stand at another address on each cloud (a Service, the node, a link-local one): the port is what counts.
    resolving = networking.v1.NetworkPolicyEgressRuleArgs(ports=[_port(53, "UDP"), _port(53)])
    endpoints = provider.capabilities(begun.cloud).identity_endpoints if identity else {}
    own = [
        networking.v1.NetworkPolicyEgressRuleArgs(to=[_block(network)], ports=[_port(port)])
        for network, port in endpoints.items()
    ]
    anywhere = networking.v1.NetworkPolicyEgressRuleArgs(
        to=[_block(network, hidden) for network, hidden in LINK_LOCAL],
        ports=None if egress_ports is None else [_port(port) for port in egress_ports],
    )
    return networking.v1.NetworkPolicy(
        name,
        metadata=metadata(begun, name, namespace=namespace),
        spec=networking.v1.NetworkPolicySpecArgs(
            pod_selector=selector(name),
            policy_types=list(BOTH_WAYS),
            ingress=ingress,
            egress=[resolving, *own, anywhere],
        ),
        opts=opts,
    )


def _port(port: int | str, protocol: str = "TCP") -> networking.v1.NetworkPolicyPortArgs:
    return networking.v1.NetworkPolicyPortArgs(protocol=protocol, port=port)


def _block(network: str, hidden: str | None = None) -> networking.v1.NetworkPolicyPeerArgs:
    return networking.v1.NetworkPolicyPeerArgs(
        ip_block=networking.v1.IPBlockArgs(cidr=network, except_=None if hidden is None else [hidden])
    )
