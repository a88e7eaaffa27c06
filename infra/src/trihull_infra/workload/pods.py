"""The pods of a site's workloads: their confinement, their place, and how they are named and found."""

import hashlib
from collections.abc import Mapping
from typing import Final

import pulumi
from pulumi_kubernetes import core, meta

from trihull_infra import naming, provider
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
            node_selector=begun.environment.site(begun.cloud).node_selector(naming.POOL),
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


def part(needs: Mapping[str, str], kind: str) -> dict[str, str]:
    """Return the `annotations` or the `labels` of what SiteOutputs says a ServiceAccount needs."""
    return {key.removeprefix(f"{kind}."): value for key, value in needs.items() if key.startswith(f"{kind}.")}


def fingerprint(*texts: str) -> str:
    """Return a short digest of texts: an annotation that starts pods anew when what they read at start has changed."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
