"""What the workloads of a site share: the pods' confinement, their place, and the address of a Service.

Everything meets the restricted Pod Security Standard, which the namespace enforces.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes import autoscaling, core, meta, networking, policy

from trihull_infra import naming, provider
from trihull_infra.errors import SpecError
from trihull_infra.program import Program

USER: Final = 65532  # the images' own user, "nonroot" (distroless's number)
TEMPORARY: Final = "/tmp"  # noqa: S108 - the container's own, an emptyDir of its pod
NAME_LABEL: Final = "app.kubernetes.io/name"


def image_reference(registry: str, digest: str) -> str:
    """Return what a pod pulls: `registry@digest`. One repository holds all images of a site, told apart by digest."""
    return f"{registry}@{digest}"


def labels(begun: Program, name: str) -> dict[str, str]:
    """Return the labels of a workload's objects; `app.kubernetes.io/name` alone selects its pods."""
    return {NAME_LABEL: name, "app.kubernetes.io/part-of": naming.APPLICATION, **begun.environment.labels}


def metadata(
    begun: Program, name: str, annotations: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None
) -> meta.v1.ObjectMetaArgs:
    """Return the metadata of an object of a workload, in trihull's namespace."""
    return meta.v1.ObjectMetaArgs(
        name=name, namespace=naming.NAMESPACE, labels=labels(begun, name), annotations=annotations
    )


def selector(name: str) -> meta.v1.LabelSelectorArgs:
    """Return the selector of a workload's pods."""
    return meta.v1.LabelSelectorArgs(match_labels={NAME_LABEL: name})


def pod(
    begun: Program,
    name: str,
    container: core.v1.ContainerArgs,
    volumes: list[core.v1.VolumeArgs],
    *,
    grace_s: int,
    pod_labels: pulumi.Input[Mapping[str, pulumi.Input[str]]],
    annotations: Mapping[str, pulumi.Input[str]],
) -> core.v1.PodTemplateSpecArgs:
    """Return the pods' template: confined, spread over zones and machines, on the serving pool.

    Args:
        begun: the running program.
        name: the workload and its ServiceAccount.
        container: the one container.
        volumes: its volumes; `/tmp` is added.
        grace_s: seconds between the request to end and the kill.
        pod_labels: labels beside the workload's own, which the cloud's identity may need.
        annotations: what, when it changes, must start the pods anew.
    """
    own = labels(begun, name)
    return core.v1.PodTemplateSpecArgs(
        metadata=meta.v1.ObjectMetaArgs(
            labels=pulumi.Output.from_input(pod_labels).apply(lambda more: {**own, **more}), annotations=annotations
        ),
        spec=core.v1.PodSpecArgs(
            service_account_name=name,
            automount_service_account_token=False,
            enable_service_links=False,
            termination_grace_period_seconds=grace_s,
            security_context=core.v1.PodSecurityContextArgs(
                run_as_non_root=True,
                run_as_user=USER,
                run_as_group=USER,
                fs_group=USER,
                seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            node_selector={naming.POOL_LABEL: naming.POOL},
            tolerations=tolerations(begun),
            topology_spread_constraints=[
                core.v1.TopologySpreadConstraintArgs(
                    max_skew=1, topology_key=key, when_unsatisfiable="ScheduleAnyway", label_selector=selector(name)
                )
                for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
            ],
            containers=[container],
            volumes=[
                *volumes,
                core.v1.VolumeArgs(name="tmp", empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit="64Mi")),
            ],
        ),
    )


def tolerations(begun: Program) -> list[core.v1.TolerationArgs]:
    """Return what lets pods onto spot nodes: our own taint and the cloud's; nothing without spot nodes."""
    if begun.environment.pools.serving.spot_share == 0:
        return []
    taints = {naming.SPOT_LABEL: "true", **provider.capabilities(begun.cloud).spot_taints}
    return [
        core.v1.TolerationArgs(key=key, operator="Equal", value=value, effect="NoSchedule")
        for key, value in taints.items()
    ]


def confined() -> core.v1.SecurityContextArgs:
    """Return the container's confinement: no privilege, nothing to gain, a root that cannot be written."""
    return core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        privileged=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
        capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
        seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
    )


def probe(port: str, path: str, *, period_s: int, failures: int) -> core.v1.ProbeArgs:
    """Return a plain HTTP probe of a named port: `failures` in a row, `period_s` seconds apart."""
    return core.v1.ProbeArgs(
        http_get=core.v1.HTTPGetActionArgs(port=port, path=path),
        period_seconds=period_s,
        timeout_seconds=2,
        failure_threshold=failures,
    )


def resources(cpu: str, memory: str) -> core.v1.ResourceRequirementsArgs:
    """Return requests, and a limit on memory alone: a limit on CPU stalls requests for nothing."""
    return core.v1.ResourceRequirementsArgs(requests={"cpu": cpu, "memory": memory}, limits={"memory": memory})


def service_account(
    begun: Program, name: str, needs: pulumi.Input[Mapping[str, str]], opts: pulumi.ResourceOptions
) -> core.v1.ServiceAccount:
    """Register a ServiceAccount with the annotations and labels that the cloud's identity asks for."""
    known = pulumi.Output.from_input(needs)
    own = labels(begun, name)
    return core.v1.ServiceAccount(
        name,
        metadata=meta.v1.ObjectMetaArgs(
            name=name,
            namespace=naming.NAMESPACE,
            labels=known.apply(lambda all_needs: {**own, **part(all_needs, "labels")}),
            annotations=known.apply(lambda all_needs: part(all_needs, "annotations")),
        ),
        automount_service_account_token=False,
        opts=opts,
    )


def part(needs: Mapping[str, str], kind: str) -> dict[str, str]:
    """Return the `annotations` or the `labels` of what SiteOutputs says a ServiceAccount needs."""
    return {key.removeprefix(f"{kind}."): value for key, value in needs.items() if key.startswith(f"{kind}.")}


def load_balancer(
    begun: Program, name: str, port_name: str, port: int, opts: pulumi.ResourceOptions
) -> core.v1.Service:
    """Register a layer-4 load balancer before a workload's pods; TLS ends in the pod."""
    return core.v1.Service(
        name,
        metadata=metadata(begun, name, dict(provider.capabilities(begun.cloud).service_annotations)),
        spec=core.v1.ServiceSpecArgs(
            type="LoadBalancer",
            selector={NAME_LABEL: name},
            ports=[core.v1.ServicePortArgs(name=port_name, port=port, target_port=port_name, protocol="TCP")],
        ),
        opts=opts,
    )


def url(service: core.v1.Service, scheme: str, port: int) -> pulumi.Output[str]:
    """Return the address of a load balancer: the name or number that the cluster gave it, and the port.

    The port is the Service's own unless the cluster says that it is reached by another. The program ends with a
    SpecError when the cluster gave no address.
    """

    def read(status: Any) -> str:
        given = status.load_balancer.ingress if status and status.load_balancer else None
        if not given or not (given[0].hostname or given[0].ip):
            raise SpecError("the cluster gave the load balancer no address; see `kubectl describe service`")
        first = given[0]
        reached = first.ports[0].port if first.ports else port
        host = first.hostname or (f"[{first.ip}]" if ":" in first.ip else first.ip)
        return f"{scheme}://{host}:{reached}"

    return service.status.apply(read)


def disruption_budget(begun: Program, name: str, opts: pulumi.ResourceOptions) -> policy.v1.PodDisruptionBudget:
    """Register a budget: drains of machines take one pod at a time."""
    return policy.v1.PodDisruptionBudget(
        name,
        metadata=metadata(begun, name),
        spec=policy.v1.PodDisruptionBudgetSpecArgs(
            max_unavailable=1, selector=selector(name), unhealthy_pod_eviction_policy="AlwaysAllow"
        ),
        opts=opts,
    )


def autoscaler(
    begun: Program, name: str, minimum: int, maximum: int, opts: pulumi.ResourceOptions
) -> autoscaling.v2.HorizontalPodAutoscaler:
    """Register an autoscaler on CPU: quick to add pods, slow to take them away."""
    return autoscaling.v2.HorizontalPodAutoscaler(
        name,
        metadata=metadata(begun, name),
        spec=autoscaling.v2.HorizontalPodAutoscalerSpecArgs(
            scale_target_ref=autoscaling.v2.CrossVersionObjectReferenceArgs(
                api_version="apps/v1", kind="Deployment", name=name
            ),
            min_replicas=minimum,
            max_replicas=maximum,
            metrics=[
                autoscaling.v2.MetricSpecArgs(
                    type="Resource",
                    resource=autoscaling.v2.ResourceMetricSourceArgs(
                        name="cpu",
                        target=autoscaling.v2.MetricTargetArgs(type="Utilization", average_utilization=70),
                    ),
                )
            ],
            behavior=autoscaling.v2.HorizontalPodAutoscalerBehaviorArgs(
                scale_down=autoscaling.v2.HPAScalingRulesArgs(stabilization_window_seconds=300)
            ),
        ),
        opts=opts,
    )


def network_policy(
    begun: Program,
    name: str,
    port_name: str,
    egress_ports: list[int] | None,
    opts: pulumi.ResourceOptions,
) -> networking.v1.NetworkPolicy:
    """Register what may reach a workload's pods and what they may reach; all else is denied both ways.

    Args:
        begun: the running program.
        name: the workload.
        port_name: the only port that others may reach; the kubelet's probes are let through by every CNI.
        egress_ports: TCP ports that the pods may reach outside link-local addresses (where the machines' credentials
            are), beside DNS; None for every port.
        opts: the resource's options.
    """
    dns = networking.v1.NetworkPolicyEgressRuleArgs(
        ports=[networking.v1.NetworkPolicyPortArgs(protocol=protocol, port=53) for protocol in ("UDP", "TCP")]
    )
    anywhere = [
        networking.v1.NetworkPolicyPeerArgs(ip_block=networking.v1.IPBlockArgs(cidr=cidr, except_=hidden))
        for cidr, hidden in (("0.0.0.0/0", ["169.254.0.0/16"]), ("::/0", ["fe80::/10"]))
    ]
    ports = (
        None
        if egress_ports is None
        else [networking.v1.NetworkPolicyPortArgs(protocol="TCP", port=port) for port in egress_ports]
    )
    out = networking.v1.NetworkPolicyEgressRuleArgs(to=anywhere, ports=ports)
    return networking.v1.NetworkPolicy(
        name,
        metadata=metadata(begun, name),
        spec=networking.v1.NetworkPolicySpecArgs(
            pod_selector=selector(name),
            policy_types=["Ingress", "Egress"],
            ingress=[
                networking.v1.NetworkPolicyIngressRuleArgs(
                    ports=[networking.v1.NetworkPolicyPortArgs(protocol="TCP", port=port_name)]
                )
            ],
            egress=[dns, *([] if egress_ports == [] else [out])],
        ),
        opts=opts,
    )


def fingerprint(*texts: str) -> str:
    """Return a short digest of texts: an annotation that starts pods anew when what they read at start has changed."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def connect(kubeconfig: pulumi.Input[str]) -> kubernetes.Provider:
    """Make the engine's provider of a site's cluster.

    ConfigMaps and Secrets are changed in place: replaced ones would be gone for a moment, and pods with them.
    """
    return kubernetes.Provider(
        "cluster", kubeconfig=kubeconfig, enable_config_map_mutable=True, enable_secret_mutable=True
    )
