"""The program of one site's routing: the router's Deployment behind a layer-4 load balancer.

The fleet is a ConfigMap of one name: a new fleet reaches the running routers as a file, and starts none anew.
"""

from typing import Final

import pulumi
from pulumi_kubernetes import apps, core

from trihull_infra import naming, program, workload
from trihull_infra.errors import SpecError
from trihull_infra.program import Program, SiteReference
from trihull_runtime.contract import EnvironmentReleases, Fleet, ReleasedRouter

PORT: Final = 8080
METRICS_PORT: Final = 8082
LIVE: Final = "/v2/health/live"
GRACE_S: Final = 45
FLEET_FOLDER: Final = "/etc/trihull/fleet"
TLS_FOLDER: Final = "/etc/trihull/tls"
CLIENTS_FOLDER: Final = "/etc/trihull/clients"
INGRESS_TLS_FOLDER: Final = "/etc/trihull/ingress-tls"
STATE_FOLDER: Final = "/var/lib/trihull"


def run() -> None:
    """Register a site's routing and export its `endpoint`."""
    begun = program.begin()
    router = chosen(begun)
    document = fleet(begun)
    site = SiteReference(pulumi.get_stack())
    cluster = workload.connect(site.output("kubeconfig"))
    opts = pulumi.ResourceOptions(provider=cluster)
    needs = site.output("identities").apply(lambda all_needs: all_needs.get("router", {}))
    account = workload.service_account(begun, naming.ROUTER, needs, opts)
    config = core.v1.ConfigMap(
        naming.ROUTER,
        metadata=workload.metadata(begun, naming.ROUTER),
        data={"fleet.json": document.to_json()},
        opts=opts,
    )
    certificate = site.output("router_certificate")
    secret = core.v1.Secret(
        naming.ROUTER,
        metadata=workload.metadata(begun, naming.ROUTER),
        type="Opaque",
        string_data={"tls.crt": certificate, "tls.key": site.output("router_key")},
        opts=opts,
    )
    # Out: every port, since sites answer where the fleet says, and keys of callers' tokens come from anywhere.
    policy = workload.network_policy(
        begun, naming.ROUTER, opts, open_port="ingress", metrics_port="metrics", egress_ports=None
    )
    replicas = begun.environment.routing
    scaled = replicas.most > replicas.replicas
    # Where an autoscaler owns the number of replicas, the Deployment only says where it begins.
    started = pulumi.ResourceOptions(
        provider=cluster,
        depends_on=[account, config, secret, policy],
        ignore_changes=["spec.replicas"] if scaled else None,
    )
    _deployment(
        begun,
        site.output("registry").apply(lambda registry: workload.image_reference(registry, router.index_digest)),
        needs.apply(lambda known: workload.part(known, "labels")),
        certificate.apply(workload.fingerprint),
        started,
    )
    if scaled:
        workload.autoscaler(begun, naming.ROUTER, replicas.replicas, replicas.most, opts)
    workload.disruption_budget(begun, naming.ROUTER, opts)
    service = workload.load_balancer(begun, naming.ROUTER, "ingress", PORT, opts)
    pulumi.export("endpoint", {"url": workload.url(service, begun.environment.routing.scheme, PORT)})


def _deployment(
    begun: Program,
    image: pulumi.Output[str],
    pod_labels: pulumi.Output[dict[str, str]],
    certificate: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> apps.v1.Deployment:
    routing = begun.environment.routing
    settings = {
        "TRIHULL_FLEET": f"{FLEET_FOLDER}/fleet.json",
        "TRIHULL_TLS": TLS_FOLDER,
        "TRIHULL_STATE": STATE_FOLDER,
        "TRIHULL_SITE": str(begun.cloud),
        "TRIHULL_POLICY": str(routing.policy),
        "TRIHULL_TIMINGS": str(routing.timings),
        "TRIHULL_PORT_METRICS": str(METRICS_PORT),
    }
    given = {
        name: (folder, secret)
        for name, folder, secret in (
            ("clients", CLIENTS_FOLDER, routing.clients_secret),
            ("ingress-tls", INGRESS_TLS_FOLDER, routing.tls_secret),
        )
        if secret is not None
    }
    if "clients" in given:
        settings["TRIHULL_CLIENTS"] = f"{CLIENTS_FOLDER}/clients.json"
    if "ingress-tls" in given:
        settings["TRIHULL_INGRESS_TLS"] = INGRESS_TLS_FOLDER
    container = core.v1.ContainerArgs(
        name="router",
        image=image,
        image_pull_policy="IfNotPresent",
        ports=[
            core.v1.ContainerPortArgs(name="ingress", container_port=PORT, protocol="TCP"),
            core.v1.ContainerPortArgs(name="metrics", container_port=METRICS_PORT, protocol="TCP"),
            core.v1.ContainerPortArgs(name="admin", container_port=naming.ROUTER_ADMIN_PORT, protocol="TCP"),
        ],
        env=[core.v1.EnvVarArgs(name=name, value=value) for name, value in settings.items()],
        resources=workload.resources("250m", "512Mi"),
        security_context=workload.confined(),
        # Alive is the router itself; ready is a router with a healthy site behind it. Were both the same, every router
        # would be started anew while all sites are down.
        startup_probe=workload.probe("ingress", LIVE, period_s=1, failures=60),
        readiness_probe=workload.probe("ingress", "/routerz", period_s=2, failures=2),
        liveness_probe=workload.probe("ingress", LIVE, period_s=10, failures=6),
        volume_mounts=[
            core.v1.VolumeMountArgs(name="fleet", mount_path=FLEET_FOLDER, read_only=True),
            core.v1.VolumeMountArgs(name="tls", mount_path=TLS_FOLDER, read_only=True),
            core.v1.VolumeMountArgs(name="state", mount_path=STATE_FOLDER),
            core.v1.VolumeMountArgs(name="tmp", mount_path=workload.TEMPORARY),
            *(
                core.v1.VolumeMountArgs(name=name, mount_path=folder, read_only=True)
                for name, (folder, _) in given.items()
            ),
        ],
    )
    volumes = [
        core.v1.VolumeArgs(name="fleet", config_map=core.v1.ConfigMapVolumeSourceArgs(name=naming.ROUTER)),
        core.v1.VolumeArgs(
            name="tls", secret=core.v1.SecretVolumeSourceArgs(secret_name=naming.ROUTER, default_mode=0o440)
        ),
        core.v1.VolumeArgs(name="state", empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit="256Mi")),
        *(
            core.v1.VolumeArgs(name=name, secret=core.v1.SecretVolumeSourceArgs(secret_name=secret, default_mode=0o440))
            for name, (_, secret) in given.items()
        ),
    ]
    return apps.v1.Deployment(
        naming.ROUTER,
        metadata=workload.metadata(begun, naming.ROUTER),
        spec=apps.v1.DeploymentSpecArgs(
            replicas=routing.replicas,
            selector=workload.selector(naming.ROUTER),
            strategy=apps.v1.DeploymentStrategyArgs(
                type="RollingUpdate",
                rolling_update=apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
            ),
            template=workload.pod(
                begun,
                naming.ROUTER,
                container,
                volumes,
                pool=naming.POOL,
                grace_s=GRACE_S,
                pod_labels=pod_labels,
                # Of the fleet nothing stands here: it must not start routers anew.
                annotations={"trihull.internal/certificates": certificate},
            ),
        ),
        opts=opts,
    )


def chosen(begun: Program) -> ReleasedRouter:
    """Return the router's image of the environment.

    Raises:
        SpecError: no releases document, or none of a router in it.
        ContractError: the document is not what its contract asks for.
    """
    name = begun.environment.name
    path = begun.folder / f"{name}.releases.json"
    if not path.exists():
        raise SpecError(f"{path}: is not there; say what to run with `trihull release {name} --router <folder>`")
    router = EnvironmentReleases.read(path).router
    if router is None:
        raise SpecError(f"{path}: router: is missing; name one with `trihull release {name} --router <folder>`")
    return router


def fleet(begun: Program) -> Fleet:
    """Return the fleet that the routers start with.

    Raises:
        SpecError: no fleet document.
        ContractError: the document is not what its contract asks for.
    """
    path = begun.folder / f"{begun.environment.name}.fleet.json"
    if not path.exists():
        raise SpecError(f"{path}: is not there; write it with `trihull fleet {begun.environment.name}`")
    return Fleet.read(path)
