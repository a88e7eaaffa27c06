"""What stands around a workload's pods: its account, load balancer, autoscaler and budget."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes import autoscaling, core, meta, policy

from trihull_infra import naming, provider
from trihull_infra.errors import SpecError
from trihull_infra.program import Program
from trihull_infra.workload.pods import NAME_LABEL, labels, metadata, part, selector


def connect(kubeconfig: pulumi.Input[str]) -> kubernetes.Provider:
    """Make the engine's provider of a site's cluster.

    ConfigMaps and Secrets are changed in place: replaced ones would be gone for a moment, and pods with them.
    """
    return kubernetes.Provider(
        "cluster", kubeconfig=kubeconfig, enable_config_map_mutable=True, enable_secret_mutable=True
    )


def namespace(begun: Program, name: str, level: str, opts: pulumi.ResourceOptions) -> core.v1.Namespace:
    """Register a namespace that takes no pod beyond a level of the Pod Security Standards, and says so."""
    levels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "audit", "warn")}
    return core.v1.Namespace(
        name, metadata=meta.v1.ObjectMetaArgs(name=name, labels={**begun.environment.labels, **levels}), opts=opts
    )


def service_account(
    begun: Program,
    name: str,
    needs: pulumi.Input[Mapping[str, str]],
    opts: pulumi.ResourceOptions,
    namespace: str = naming.NAMESPACE,
) -> core.v1.ServiceAccount:
    """Register a ServiceAccount with the annotations and labels that the cloud's identity asks for."""
    known = pulumi.Output.from_input(needs)
    own = labels(begun, name)
    return core.v1.ServiceAccount(
        name,
        metadata=meta.v1.ObjectMetaArgs(
            name=name,
            namespace=namespace,
            labels=known.apply(lambda all_needs: {**own, **part(all_needs, "labels")}),
            annotations=known.apply(lambda all_needs: part(all_needs, "annotations")),
        ),
        automount_service_account_token=False,
        opts=opts,
    )


def load_balancer(
    begun: Program, name: str, port_name: str, port: int, opts: pulumi.ResourceOptions
) -> core.v1.Service:
    """Register a layer-4 load balancer before a workload's pods; TLS ends in the pod.

    Its annotations are the cloud's, and those that the site asks for before them.
    """
    site = begun.environment.site(begun.cloud)
    annotations = {**provider.capabilities(begun.cloud).service_annotations, **site.load_balancer_annotations}
    return core.v1.Service(
        name,
        metadata=metadata(begun, name, annotations),
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
