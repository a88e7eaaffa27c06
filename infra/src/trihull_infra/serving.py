"""The program of one site's serving: the model's Deployment behind a layer-4 load balancer, with mutual TLS.

It reads the site by StackReference, the release from `<environment>.releases.json`, and the certificate authorities of
all sites from `<environment>.fleet.json`: every site's router may come here. It exports ServingOutputs.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import apps, core

from trihull_infra import demands, naming, program, workload
from trihull_infra.errors import SpecError
from trihull_infra.program import Program, SiteReference
from trihull_runtime.contract import EnvironmentReleases, Fleet, Release, ServingOutputs

PORT: Final = 8080
HEALTH_PORT: Final = 8082
DRAIN_S: Final = 30
TLS_FOLDER: Final = "/etc/trihull/tls"


@dataclass(frozen=True)
class ToServe:
    """What this site shall serve: the model, its version, and the digests of its release and image."""

    model: str
    version: str
    release_digest: str
    index_digest: str


def run() -> None:
    """Register a site's serving and export its ServingOutputs."""
    begun = program.begin()
    chosen = choose(begun)
    trusted = authorities(begun)
    site = SiteReference(pulumi.get_stack())
    cluster = workload.connect(site.output("kubeconfig"))
    opts = pulumi.ResourceOptions(provider=cluster)
    namespace = workload.namespace(begun, naming.NAMESPACE, "restricted", opts)
    inside = pulumi.ResourceOptions(provider=cluster, depends_on=[namespace])
    needs = site.output("identities").apply(lambda all_needs: all_needs.get("serving", {}))
    account = workload.service_account(begun, naming.SERVING, needs, inside)
    certificate = site.output("serving_certificate")
    secret = core.v1.Secret(
        naming.SERVING,
        metadata=workload.metadata(begun, naming.SERVING),
        type="Opaque",
        string_data={"tls.crt": certificate, "tls.key": site.output("serving_key"), "ca.crt": trusted},
        opts=inside,
    )
    denied = workload.default_deny(begun, inside)
    # Out: its bucket and the cloud's token service, by TLS; nothing else.
    policy = workload.network_policy(
        begun, naming.SERVING, inside, open_port="infer", metrics_port="health", egress_ports=[443], identity=True
    )
    priorities = workload.priorities(begun, opts)
    started = pulumi.ResourceOptions(
        provider=cluster, depends_on=[account, secret, denied, policy, priorities[naming.SERVING]]
    )
    _deployment(
        begun,
        site,
        chosen,
        needs.apply(lambda known: workload.part(known, "labels")),
        certificate.apply(lambda pem: workload.fingerprint(pem, trusted)),
        # The autoscaler's to change; what the environment asks for is its minimum.
        pulumi.ResourceOptions.merge(started, pulumi.ResourceOptions(ignore_changes=["spec.replicas"])),
    )
    replicas = begun.environment.serving
    workload.autoscaler(begun, naming.SERVING, replicas.replicas_min, replicas.replicas_max, inside)
    workload.disruption_budget(begun, naming.SERVING, inside)
    service = workload.load_balancer(begun, naming.SERVING, "infer", PORT, inside)
    autoscaler_needs = site.output("identities").apply(lambda all_needs: all_needs.get("node-autoscaler", {}))
    workload.system_agents(begun, site.output("cluster_name"), autoscaler_needs, opts)
    pulumi.export("version", ServingOutputs.CURRENT)
    pulumi.export(
        "endpoint",
        {
            "url": workload.url(service, "https", PORT),
            "server_name": naming.server_name(begun.environment.name, begun.cloud),
        },
    )
    pulumi.export("models", {chosen.model: {"version": chosen.version, "release_digest": chosen.release_digest}})


def _deployment(
    begun: Program,
    site: SiteReference,
    chosen: ToServe,
    pod_labels: pulumi.Output[dict[str, str]],
    certificates: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> apps.v1.Deployment:
    asked = begun.environment.serving
    image = site.output("registry").apply(lambda registry: workload.image_reference(registry, chosen.index_digest))
    container = core.v1.ContainerArgs(
        name="server",
        image=image,
        image_pull_policy="IfNotPresent",
        ports=[
            core.v1.ContainerPortArgs(name="infer", container_port=PORT, protocol="TCP"),
            core.v1.ContainerPortArgs(name="health", container_port=HEALTH_PORT, protocol="TCP"),
        ],
        env=[
            core.v1.EnvVarArgs(name="TRIHULL_TLS", value=TLS_FOLDER),
            core.v1.EnvVarArgs(name="TRIHULL_DRAIN_S", value=str(DRAIN_S)),
        ],
        resources=workload.resources(asked.cpu, asked.memory, asked.accelerators),
        security_context=workload.confined(),
        startup_probe=workload.probe("health", "/v2/health/live", period_s=1, failures=60),
        readiness_probe=workload.probe("health", "/v2/health/ready", period_s=2, failures=2),
        liveness_probe=workload.probe("health", "/v2/health/live", period_s=10, failures=6),
        volume_mounts=[
            core.v1.VolumeMountArgs(name="tls", mount_path=TLS_FOLDER, read_only=True),
            core.v1.VolumeMountArgs(name="tmp", mount_path=workload.TEMPORARY),
        ],
    )
    tls = core.v1.VolumeArgs(
        name="tls", secret=core.v1.SecretVolumeSourceArgs(secret_name=naming.SERVING, default_mode=0o440)
    )
    return apps.v1.Deployment(
        naming.SERVING,
        metadata=workload.metadata(begun, naming.SERVING),
        spec=apps.v1.DeploymentSpecArgs(
            replicas=asked.replicas_min,
            selector=workload.selector(naming.SERVING),
            strategy=apps.v1.DeploymentStrategyArgs(
                type="RollingUpdate",
                rolling_update=apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
            ),
            template=workload.pod(
                begun,
                naming.SERVING,
                container,
                [tls],
                pool=asked.pool,
                grace_s=DRAIN_S + 15,
                pod_labels=pod_labels,
                annotations={
                    "trihull.internal/release": chosen.release_digest,
                    "trihull.internal/certificates": certificates,
                },
            ),
        ),
        opts=opts,
    )


def choose(begun: Program) -> ToServe:
    """Return the one model that this site shall serve.

    Raises:
        SpecError: no releases document, no model or several for this site, a `release.json` that is not the one that
            was released, or one that does not show what the environment demands.
        ContractError: a document is not what its contract asks for.
    """
    name = begun.environment.name
    path = begun.folder / f"{name}.releases.json"
    if not path.exists():
        raise SpecError(f"{path}: is not there; say what to serve with `trihull release {name} <folder>`")
    models = {
        model: sites[begun.cloud]
        for model, sites in EnvironmentReleases.read(path).models.items()
        if begun.cloud in sites
    }
    if len(models) != 1:
        problem = f"names {', '.join(sorted(models))}" if models else "names no model"
        raise SpecError(
            f"{path}: models: {problem} for {begun.cloud}; expected exactly one (a site's endpoint serves one model)"
        )
    ((model, chosen),) = models.items()
    release_path = begun.folder / chosen.path
    release = Release.read(release_path)
    if (release.model.name, release.release_digest, release.image.index_digest) != (
        model,
        chosen.release_digest,
        chosen.index_digest,
    ):
        raise SpecError(
            f"{release_path}: is release {release.release_digest} of {release.model.name}, but {path} says "
            f"{chosen.release_digest} of {model}; package it again, or release what there is"
        )
    spec = begun.environment
    demands.check(spec.releases, spec.protect, spec.name, begun.folder, release_path, release)
    return ToServe(model, release.model.version, chosen.release_digest, chosen.index_digest)


def authorities(begun: Program) -> str:
    """Return the certificates of all sites' authorities, PEM one after the other: who may call this serving.

    Raises:
        SpecError: no fleet document, or one without this site's certificate.
        ContractError: the fleet document is not what its contract asks for.
    """
    name = begun.environment.name
    path = begun.folder / f"{name}.fleet.json"
    if not path.exists():
        raise SpecError(f"{path}: is not there; write it with `trihull fleet {name}` once the sites are up")
    sites = {site.name: site.ca_certificate for site in Fleet.read(path).sites}
    if not sites.get(begun.cloud):
        raise SpecError(
            f"{path}: sites: {begun.cloud} has no ca_certificate; bring the site up and run `trihull fleet {name}`"
        )
    return "".join(f"{pem.strip()}\n" for pem in sites.values() if pem)
