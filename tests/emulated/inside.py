"""Small programs inside a cluster; programs.py has those of clouds, and these by the same names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi

from trihull_infra import kubeconfig

PROJECT = "trihull-local"
Options = Mapping[str, Any]


def cluster_of_google() -> pulumi.Output[str]:
    """Register a cluster; returns its kubeconfig."""
    import pulumi_gcp as gcp

    cloud = gcp.Provider("gcp", project=PROJECT, region="europe-west4")
    cluster = gcp.container.Cluster(
        "cluster",
        name="one",
        location="europe-west4",
        initial_node_count=1,
        deletion_protection=False,
        opts=pulumi.ResourceOptions(provider=cloud),
    )
    text: pulumi.Output[str] = pulumi.Output.all(cluster.endpoint, cluster.master_auth.cluster_ca_certificate).apply(
        lambda known: kubeconfig.render("one", f"https://{known[0]}", known[1], "gke-gcloud-auth-plugin", [])
    )
    return pulumi.Output.secret(text)


def agents(options: Options) -> None:
    """What trihull registers in kube-system and for the whole cluster, of every cloud that leaves anything to it."""
    from trihull_infra import environment, workload
    from trihull_infra.cloud import Cloud
    from trihull_infra.program import Program

    opts = pulumi.ResourceOptions(provider=workload.connect(cluster_of_google()))
    folder = Path(options["environments"])
    spec = environment.load("longestname1", folder)
    # Of AWS the autoscaler, of Azure the device plugin; the priorities, which both have, are those of Azure.
    plain = spec.model_copy(update={"pools": environment.load("local", folder).pools})
    workload.priorities(Program(spec, Cloud.AZURE, folder), opts)
    workload.system_agents(Program(spec, Cloud.AZURE, folder), "one", {}, opts)
    workload.system_agents(Program(plain, Cloud.AWS, folder), "one", {}, opts)


def workloads(options: Options) -> None:
    import pulumi_kubernetes as kubernetes

    provider = kubernetes.Provider("kubernetes", kubeconfig=cluster_of_google())
    opts = pulumi.ResourceOptions(provider=provider)
    namespace = kubernetes.core.v1.Namespace("trihull", metadata={"name": "trihull"}, opts=opts)
    inside: Any = {"namespace": namespace.metadata.name}
    config = kubernetes.core.v1.ConfigMap("config", metadata=inside, data={"a": options["data"]}, opts=opts)
    secret = kubernetes.core.v1.Secret("secret", metadata=inside, string_data={"key": "value"}, opts=opts)
    labels = {"app": "web"}
    if options.get("deployment"):
        image = f"oci-layout:///nowhere@sha256:{'0' * 64}"
        pod: Any = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
        spec: Any = {"replicas": 1, "selector": {"match_labels": labels}, "template": pod}
        patient: Any = {**inside, "annotations": {"pulumi.com/timeoutSeconds": "20"}}
        kubernetes.apps.v1.Deployment("web", metadata=patient, spec=spec, opts=opts)
    pulumi.export("config", config.metadata.name)
    pulumi.export("secret", secret.data)
