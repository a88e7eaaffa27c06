"""What trihull runs for a cluster where a cloud leaves it to us: a node autoscaler, its priorities, a device plugin.

Whether a cloud does is declared in its `capabilities.toml`. Sources, looked up on 2026-11-24: arguments, rights and the
names of what the autoscaler keeps: kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/examples/
cluster-autoscaler-autodiscover.yaml @046b7e82b912 and charts/cluster-autoscaler/templates/clusterrole.yaml
@0ebbdfb263f5; priorities: cluster-autoscaler/expander/priority/readme.md @01653c9c34c6; the device plugin's folder and
confinement: NVIDIA/k8s-device-plugin, deployments/static/nvidia-device-plugin.yml @1c3a10be34f8; its priority outside
kube-system: MicrosoftDocs/azure-aks-docs, articles/aks/use-nvidia-gpu.md @fb060abe6 (2026-08-21).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from pulumi_kubernetes import apps, core, meta, rbac

from trihull_infra import images, naming, provider
from trihull_infra.program import Program
from trihull_infra.workload import placement
from trihull_infra.workload.objects import namespace, service_account
from trihull_infra.workload.pods import confined, labels, metadata, part, probe, resources, selector, template
from trihull_infra.workload.policies import default_deny, network_policy

EXPANDER: Final = "cluster-autoscaler-priority-expander"  # the autoscaler reads it under this name alone
STATUS: Final = "cluster-autoscaler-status"
LEASE: Final = "cluster-autoscaler"
PLUGINS: Final = "/var/lib/kubelet/device-plugins"
RBAC: Final = "rbac.authorization.k8s.io"
LOOK: Final = ("get", "list", "watch")
# What it must see to know whether a pod would fit on a node it could add, and what it changes: it marks nodes that are
# to go, evicts their pods, and tells of it. No secret, and nothing that could give it more.
CLUSTER_RULES: Final[Sequence[tuple[str, tuple[str, ...], tuple[str, ...]]]] = (
    ("", ("events",), ("create", "patch")),
    ("", ("pods/eviction",), ("create",)),
    ("", ("pods/status",), ("update",)),
    ("", ("nodes",), (*LOOK, "update")),
    ("", ("namespaces", "pods", "services", "replicationcontrollers"), LOOK),
    ("", ("persistentvolumeclaims", "persistentvolumes"), LOOK),
    ("apps", ("daemonsets", "replicasets", "statefulsets"), LOOK),
    ("batch", ("jobs", "cronjobs"), LOOK),
    ("policy", ("poddisruptionbudgets",), ("list", "watch")),
    ("storage.k8s.io", ("storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments"), LOOK),
    ("resource.k8s.io", ("resourceclaims", "resourceslices", "deviceclasses"), LOOK),
)


def system_agents(
    begun: Program,
    cluster_name: pulumi.Input[str],
    needs: pulumi.Input[Mapping[str, str]],
    opts: pulumi.ResourceOptions,
) -> None:
    """Register what the cloud declares to be ours to run.

    Args:
        begun: the running program.
        cluster_name: as the cloud knows it.
        needs: what the autoscaler's ServiceAccount needs, as SiteOutputs says.
        opts: the resources' options.
    """
    declared = provider.capabilities(begun.cloud)
    before: list[pulumi.Resource] = []
    if declared.spot_by_priorities and (preferred := spot_first(begun)):
        expander = meta.v1.ObjectMetaArgs(name=EXPANDER, namespace=naming.SYSTEM, labels=labels(begun, EXPANDER))
        before.append(core.v1.ConfigMap(EXPANDER, metadata=expander, data={"priorities": preferred}, opts=opts))
    if declared.node_autoscaler:
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=before))
        node_autoscaler(begun, cluster_name, needs, after)
    elsewhere = begun.environment.site(begun.cloud).runs_already("device-plugin")
    if declared.device_plugin and begun.environment.pools.accelerator is not None and not elsewhere:
        device_plugin(begun, opts)


def spot_first(begun: Program) -> str:
    """Return which node groups are made larger first, as the expander reads it: spot before others; empty without spot.

    Names of groups are made by the cloud around the pool's (`eks-<pool>-...`, `aks-<pool>-...`), so it is looked for.
    """
    every = [half for name in begun.environment.pools.all for half in placement.halves(begun, name)]
    spot = [f"  - .*{half.name}.*" for half in every if half.spot]
    return "\n".join(["20:", *spot, "10:", "  - .*", ""]) if spot else ""


def node_autoscaler(
    begun: Program,
    cluster_name: pulumi.Input[str],
    needs: pulumi.Input[Mapping[str, str]],
    opts: pulumi.ResourceOptions,
) -> apps.v1.Deployment:
    """Register Cluster Autoscaler with no more rights than it uses; it finds the node groups by the cluster's tag."""
    name, declared = naming.NODE_AUTOSCALER, provider.capabilities(begun.cloud)
    image = images.of_agent(begun, "node-autoscaler", "node_autoscaler")
    account = service_account(begun, name, needs, opts, naming.SYSTEM)
    bound = _bound(begun, name, opts)
    policy = network_policy(
        begun, name, opts, metrics_port="health", egress_ports=[443], identity=True, namespace=naming.SYSTEM
    )
    order = ",".join([*(["priority"] if declared.spot_by_priorities else []), "least-waste"])
    region = begun.environment.site(begun.cloud).region
    container = core.v1.ContainerArgs(
        name="autoscaler",
        image=image,
        image_pull_policy="IfNotPresent",
        command=["./cluster-autoscaler"],
        args=[
            *(_named(argument, cluster_name) for argument in declared.node_autoscaler_arguments),
            f"--namespace={naming.SYSTEM}",
            f"--expander={order}",
            "--balance-similar-node-groups=true",
            # Serving and routers keep nothing in their temporary folders that must survive them.
            "--skip-nodes-with-local-storage=false",
        ],
        env=[
            core.v1.EnvVarArgs(name=variable, value=value.format(region=region))
            for variable, value in declared.node_autoscaler_variables.items()
        ],
        ports=[core.v1.ContainerPortArgs(name="health", container_port=8085, protocol="TCP")],
        resources=resources("100m", "600Mi"),
        security_context=confined(),
        liveness_probe=probe("health", "/health-check", period_s=10, failures=6),
    )
    pods = template(
        begun,
        name,
        container,
        [],
        pod_labels=pulumi.Output.from_input(needs).apply(lambda every: part(every, "labels")),
        annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        priority="system-cluster-critical",
        tolerations=_system(),
        node_selector={naming.POOL_LABEL: naming.SYSTEM_POOL},
        token=True,
    )
    return apps.v1.Deployment(
        name,
        metadata=metadata(begun, name, namespace=naming.SYSTEM),
        spec=apps.v1.DeploymentSpecArgs(
            replicas=1,
            selector=selector(name),
            strategy=apps.v1.DeploymentStrategyArgs(type="Recreate"),  # two would wait for one another's lease
            template=pods,
        ),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[account, policy, *bound])),
    )


def _named(argument: str, cluster_name: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.from_input(cluster_name).apply(lambda cluster: argument.format(cluster=cluster))


def _bound(begun: Program, name: str, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """Register the autoscaler's rights, over the cluster and in kube-system, and bind them to its account alone."""
    subject = rbac.v1.SubjectArgs(kind="ServiceAccount", name=name, namespace=naming.SYSTEM)
    everywhere = meta.v1.ObjectMetaArgs(name=name, labels=labels(begun, name))
    here = metadata(begun, name, namespace=naming.SYSTEM)
    rules = [_rule(group, kinds, verbs) for group, kinds, verbs in CLUSTER_RULES]
    own = [
        _rule("", ("configmaps",), ("create", "list", "watch")),
        _rule("", ("configmaps",), ("get", "update", "delete"), STATUS),
        _rule("", ("configmaps",), ("get",), EXPANDER),
        _rule("coordination.k8s.io", ("leases",), ("create",)),
        _rule("coordination.k8s.io", ("leases",), ("get", "update"), LEASE),
    ]
    cluster_role = rbac.v1.ClusterRole(name, metadata=everywhere, rules=rules, opts=opts)
    role = rbac.v1.Role(name, metadata=here, rules=own, opts=opts)
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[cluster_role, role]))
    return [
        rbac.v1.ClusterRoleBinding(
            name,
            metadata=everywhere,
            role_ref=rbac.v1.RoleRefArgs(api_group=RBAC, kind="ClusterRole", name=name),
            subjects=[subject],
            opts=after,
        ),
        rbac.v1.RoleBinding(
            name,
            metadata=here,
            role_ref=rbac.v1.RoleRefArgs(api_group=RBAC, kind="Role", name=name),
            subjects=[subject],
            opts=after,
        ),
    ]


def _rule(group: str, kinds: Sequence[str], verbs: Sequence[str], only: str | None = None) -> rbac.v1.PolicyRuleArgs:
    return rbac.v1.PolicyRuleArgs(
        api_groups=[group],
        resources=list(kinds),
        verbs=list(verbs),
        resource_names=None if only is None else [only],
    )


def _system() -> list[core.v1.TolerationArgs]:
    """Return what lets an agent onto the system pool, whatever taint keeps other pods off it."""
    return [core.v1.TolerationArgs(key="CriticalAddonsOnly", operator="Exists")]


def device_plugin(begun: Program, opts: pulumi.ResourceOptions) -> apps.v1.DaemonSet:
    """Register what tells the kubelet of a node's accelerators, in a namespace of its own.

    It talks to the kubelet through sockets in a folder of the node, as root: the baseline standard forbids such a
    folder, so this is the one pod that only the privileged level takes (docs/decisions/0021). It has no capability, no
    token and no network all the same.
    """
    name, pool = naming.DEVICE_PLUGIN, naming.ACCELERATOR_POOL
    container = core.v1.ContainerArgs(
        name="plugin",
        image=images.of_agent(begun, "device-plugin", "device_plugin"),
        image_pull_policy="IfNotPresent",
        env=[core.v1.EnvVarArgs(name="FAIL_ON_INIT_ERROR", value="false")],
        resources=resources("10m", "64Mi"),
        security_context=confined(root=True),
        volume_mounts=[core.v1.VolumeMountArgs(name="plugins", mount_path=PLUGINS)],
    )
    folder = core.v1.VolumeArgs(
        name="plugins", host_path=core.v1.HostPathVolumeSourceArgs(path=PLUGINS, type="Directory")
    )
    own = namespace(begun, naming.ACCELERATORS, "privileged", opts)
    inside = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[own]))
    account = service_account(begun, name, {}, inside, naming.ACCELERATORS)
    denied = default_deny(begun, inside, naming.ACCELERATORS)
    # Two on a node would take one another's socket, so one that moves ends before the next begins.
    alone = pulumi.ResourceOptions(depends_on=[account, denied], delete_before_replace=True)
    machine = begun.environment.pools.all[pool].resolved
    assert machine.accelerator is not None, "the spec takes no other class for this pool"
    return apps.v1.DaemonSet(
        name,
        metadata=metadata(begun, name, namespace=naming.ACCELERATORS),
        spec=apps.v1.DaemonSetSpecArgs(
            selector=selector(name),
            update_strategy=apps.v1.DaemonSetUpdateStrategyArgs(type="RollingUpdate"),
            template=template(
                begun,
                name,
                container,
                [folder],
                priority="system-node-critical",
                tolerations=placement.tolerations(begun, pool),
                node_selector={naming.ACCELERATOR_LABEL: machine.accelerator.class_name},
                root=True,
            ),
        ),
        opts=pulumi.ResourceOptions.merge(inside, alone),
    )
