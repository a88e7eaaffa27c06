"""The pods of a site's workloads: their confinement, their place, and how they are named and found."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from pulumi_kubernetes import core, meta

from trihull_infra import images, naming
from trihull_infra.program import Program
from trihull_infra.workload import placement

USER: Final = 65532  # the images' own user, "nonroot" (distroless's number)
TEMPORARY: Final = "/tmp"  # noqa: S108 - the container's own, an emptyDir of its pod
NAME_LABEL: Final = "app.kubernetes.io/name"


def image_reference(registry: str, digest: str) -> str:
    """Return what a pod pulls: `registry@digest`. One repository holds all images of a site, told apart by digest.

    Raises:
        SpecError: it would not be by digest.
    """
    return images.by_digest(f"{registry}@{digest}")


def labels(begun: Program, name: str) -> dict[str, str]:
    """Return the labels of a workload's objects; `app.kubernetes.io/name` alone selects its pods."""
    return {NAME_LABEL: name, "app.kubernetes.io/part-of": naming.APPLICATION, **begun.environment.labels}


def metadata(
    begun: Program,
    name: str,
    annotations: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
    namespace: str = naming.NAMESPACE,
) -> meta.v1.ObjectMetaArgs:
    """Return the metadata of an object of a workload, in trihull's namespace unless another is given."""
    return meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=labels(begun, name), annotations=annotations)


def selector(name: str) -> meta.v1.LabelSelectorArgs:
    """Return the selector of a workload's pods."""
    return meta.v1.LabelSelectorArgs(match_labels={NAME_LABEL: name})


def pod(
    begun: Program,
    name: str,
    container: core.v1.ContainerArgs,
    volumes: list[core.v1.VolumeArgs],
    *,
    pool: str,
    grace_s: int,
    pod_labels: pulumi.Input[Mapping[str, pulumi.Input[str]]],
    annotations: Mapping[str, pulumi.Input[str]],
) -> core.v1.PodTemplateSpecArgs:
    """Return the template of a workload's pods: confined, spread over zones and machines, on a pool's nodes.

    Args:
        begun: the running program.
        name: the workload, its ServiceAccount and its PriorityClass.
        container: the one container.
        volumes: its volumes; `/tmp` is added.
        pool: the pool whose nodes they run on, spot nodes first where it has any.
        grace_s: seconds between the request to end and the kill.
        pod_labels: labels beside the workload's own, which the cloud's identity may need.
        annotations: what, when it changes, must start the pods anew.
    """
    site = begun.environment.site(begun.cloud)
    return template(
        begun,
        name,
        container,
        [*volumes, core.v1.VolumeArgs(name="tmp", empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit="64Mi"))],
        pod_labels=pod_labels,
        annotations=annotations,
        priority=name,
        tolerations=placement.tolerations(begun, pool),
        node_selector=site.node_selector(pool),
        affinity=placement.affinity(begun, pool),
        termination_grace_period_seconds=grace_s,
        image_pull_secrets=[core.v1.LocalObjectReferenceArgs(name=secret) for secret in site.image_pull_secrets],
        topology_spread_constraints=[
            core.v1.TopologySpreadConstraintArgs(
                max_skew=1, topology_key=key, when_unsatisfiable="ScheduleAnyway", label_selector=selector(name)
            )
            for key in placement.SPREAD
        ],
    )


def template(
    begun: Program,
    name: str,
    container: core.v1.ContainerArgs,
    volumes: Sequence[core.v1.VolumeArgs],
    *,
    priority: str,
    tolerations: Sequence[core.v1.TolerationArgs],
    pod_labels: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
    annotations: Mapping[str, pulumi.Input[str]] | None = None,
    root: bool = False,
    token: bool = False,
    node_selector: Mapping[str, str] | None = None,
    affinity: core.v1.AffinityArgs | None = None,
    termination_grace_period_seconds: int = 30,
    image_pull_secrets: Sequence[core.v1.LocalObjectReferenceArgs] = (),
    topology_spread_constraints: Sequence[core.v1.TopologySpreadConstraintArgs] = (),
) -> core.v1.PodTemplateSpecArgs:
    """Return the template of pods of one container: the only place that makes one, so no image is without a digest.

    The program ends with a SpecError when the container's image is not by digest.

    Args:
        begun: the running program.
        name: the workload and its ServiceAccount.
        container: the one container.
        volumes: its volumes.
        priority: the PriorityClass.
        tolerations: taints that the pods bear.
        pod_labels: labels beside the workload's own.
        annotations: what, when it changes, must start the pods anew.
        root: whether the container runs as root, still without any capability.
        token: whether the pods speak to the API server.
        node_selector: labels of the nodes.
        affinity: wishes for nodes.
        termination_grace_period_seconds: seconds between the request to end and the kill.
        image_pull_secrets: Secrets that the image is pulled with.
        topology_spread_constraints: over what pods are spread.
    """
    own = labels(begun, name)
    container.image = pulumi.Output.from_input(container.image).apply(lambda image: images.by_digest(str(image)))
    user = 0 if root else USER
    return core.v1.PodTemplateSpecArgs(
        metadata=meta.v1.ObjectMetaArgs(
            labels=pulumi.Output.from_input(pod_labels or {}).apply(lambda more: {**own, **more}),
            annotations=annotations,
        ),
        spec=core.v1.PodSpecArgs(
            service_account_name=name,
            automount_service_account_token=token,
            enable_service_links=False,
            priority_class_name=priority,
            termination_grace_period_seconds=termination_grace_period_seconds,
            security_context=core.v1.PodSecurityContextArgs(
                run_as_non_root=not root,
                run_as_user=user,
                run_as_group=user,
                fs_group=None if root else user,
                seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            node_selector=node_selector,
            affinity=affinity,
            tolerations=list(tolerations),
            topology_spread_constraints=list(topology_spread_constraints),
            image_pull_secrets=list(image_pull_secrets) or None,
            containers=[container],
            volumes=list(volumes),
        ),
    )


def confined(*, root: bool = False) -> core.v1.SecurityContextArgs:
    """Return the container's confinement: no privilege, nothing to gain, a root file system that cannot be written."""
    return core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        privileged=False,
        read_only_root_filesystem=True,
        run_as_non_root=not root,
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


def resources(cpu: str, memory: str, accelerators: int = 0) -> core.v1.ResourceRequirementsArgs:
    """Return requests, and a limit on memory alone: a limit on CPU stalls requests for nothing.

    Accelerators are whole devices and never shared: their limit is their request (Kubernetes, "Schedule GPUs").
    """
    devices = {placement.ACCELERATORS: str(accelerators)} if accelerators else {}
    return core.v1.ResourceRequirementsArgs(
        requests={"cpu": cpu, "memory": memory}, limits={"memory": memory, **devices}
    )


def part(needs: Mapping[str, str], kind: str) -> dict[str, str]:
    """Return the `annotations` or the `labels` of what SiteOutputs says a ServiceAccount needs."""
    return {key.removeprefix(f"{kind}."): value for key, value in needs.items() if key.startswith(f"{kind}.")}


def fingerprint(*texts: str) -> str:
    """Return a short digest of texts: an annotation that starts pods anew when what they read at start has changed."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
