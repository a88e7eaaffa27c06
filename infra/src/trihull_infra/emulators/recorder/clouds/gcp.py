"""Google Cloud as `pulumi_gcp` shows it: resource paths, self links, labels, GKE endpoints, registry addresses."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from trihull_infra.emulators.recorder.answers import Answer, Request
from trihull_infra.emulators.recorder.clouds.gcp_functions import (
    GKE_VERSION,
    NUMBER,
    PROJECT,
    ZONES,
    invoke,
    service_agent,
)
from trihull_infra.emulators.recorder.facts import Facts
from trihull_infra.emulators.recorder.identities import ClusterIdentity, certificate_authority, digits

__all__ = ["answer", "identity", "invoke", "name_limit", "naming", "region", "server"]

SITE: Final = "gcp"
COMPUTE: Final = "https://www.googleapis.com/compute/v1"
CLUSTERS: Final = ("gcp:container/cluster:Cluster",)
REGISTRIES: Final = ("gcp:artifactregistry/repository:Repository",)
PROVISIONED: Final = {"goog-pulumi-provisioned": "true"}  # pulumi-gcp adds this label to what it makes


def region(configuration: Mapping[str, Any]) -> str:
    """Return the region a provider works in."""
    return str(configuration.get("region") or "us-central1")


def naming(facts: Facts) -> tuple[str, str] | None:
    """Return (property, style) of a type's name when the provider makes one up: `name-1a2b3c4`; else None."""
    prop = facts.inputs.get("name")
    if prop and not prop.required and "name" in facts.outputs and facts.outputs["name"].required:
        return "name", "dashed"
    return None


def name_limit(token: str) -> int:
    """Return the longest name the cloud takes (RFC 1035 labels; GKE clusters and pools: 40)."""
    return 40 if token.startswith("gcp:container/") else 63


def answer(request: Request) -> Answer:
    """Return a resource's id and computed outputs."""
    rule = RULES.get(request.facts.token)
    resource_id, outputs = rule(request) if rule else _generic(request)
    return Answer(resource_id, {**_shared(request), **outputs})


def _project(request: Request) -> str:
    return request.text("project") or str(request.place.configuration.get("project") or PROJECT)


def _shared(request: Request) -> dict[str, Any]:
    known = request.facts.outputs
    labels = request.inputs.get("labels") or request.inputs.get("resourceLabels")
    own = dict(labels) if isinstance(labels, Mapping) else {}
    shared: dict[str, Any] = {
        "project": _project(request),
        "createTime": request.created,
        "updateTime": request.created,
        "creationTimestamp": request.created,
        "uid": request.uuid("uid"),
        "pulumiLabels": {**own, **PROVISIONED},
        "effectiveLabels": {**own, **PROVISIONED},
        "region": request.place.region,
        "location": request.place.region,
        "etag": request.hex("etag", 16),
    }
    return {key: value for key, value in shared.items() if key in known and request.inputs.get(key) is None}


def _generic(request: Request) -> tuple[str, dict[str, Any]]:
    _, module, kind = request.facts.token.split(":")
    service = module.partition("/")[0]
    if kind.endswith(("IAMMember", "IAMBinding")):
        holder = next(
            (str(v) for k, v in request.inputs.items() if k not in ("role", "member", "members", "condition")), ""
        )
        parts = [holder, request.text("role"), request.text("member")]
        return "/".join(part for part in parts if part), {"etag": request.hex("etag", 16)}
    name = request.text("name") or f"{request.name}-{request.hex('id', 7)}"
    where = request.text("region") or request.text("zone") or request.text("location")
    collection = kind[0].lower() + kind[1:] + "s"
    if service == "compute":
        scope = f"zones/{where}" if request.text("zone") else f"regions/{where}" if where else "global"
        path = f"projects/{_project(request)}/{scope}/{collection}/{name}"
        return path, {"selfLink": f"{COMPUTE}/{path}", "name": name}
    scope = f"/locations/{where}" if where else ""
    path = f"projects/{_project(request)}{scope}/{collection}/{name}"
    return path, {"name": name}


def _compute(collection: str, scope: str = "") -> Callable[[Request], tuple[str, dict[str, Any]]]:
    def rule(request: Request) -> tuple[str, dict[str, Any]]:
        where = request.text("region") or request.place.region
        place = f"regions/{where}" if scope == "region" else "global"
        path = f"projects/{_project(request)}/{place}/{collection}/{request.text('name')}"
        outputs: dict[str, Any] = {"selfLink": f"{COMPUTE}/{path}"}
        if collection == "networks":
            outputs |= {
                "networkId": str(request.number("id", 10**17, 10**18)),
                "routingMode": request.text("routingMode") or "REGIONAL",
            }
        if collection == "subnetworks":
            outputs |= {"subnetworkId": request.number("id", 10**14, 10**15), "gatewayAddress": _gateway(request)}
            outputs |= {"ipCidrRange": request.text("ipCidrRange")}
        if collection == "addresses":
            outputs |= {"address": _unrouted(request.hex("address", 6))}
        return path, outputs

    return rule


def _gateway(request: Request) -> str:
    network = request.text("ipCidrRange").partition("/")[0].split(".")
    return ".".join([*network[:3], "1"]) if len(network) == 4 else ""


def _unrouted(seed_hex: str) -> str:
    """Return an address of 240.0.0.0/4: reserved (RFC 1112), so no machine can ever answer there."""
    numbers = [int(seed_hex[index : index + 2], 16) for index in (0, 2, 4)]
    return f"{240 + numbers[0] % 15}.{numbers[0]}.{numbers[1]}.{max(1, min(254, numbers[2]))}"


def identity(cluster_id: str, seed: str, where: str) -> ClusterIdentity:
    """Return how an emulated GKE cluster is reached: by address, as GKE does, but one that is never routed."""
    return ClusterIdentity(f"https://{_unrouted(digits(cluster_id, seed))}", certificate_authority(cluster_id, seed))


def server(outputs: Mapping[str, Any]) -> str:
    """Return a recorded cluster's URL: by name where that is open to the outside, else by address."""
    name = ((outputs.get("controlPlaneEndpointsConfig") or {}).get("dnsEndpointConfig") or {}).get("endpoint")
    return f"https://{name or outputs['endpoint']}"


def _by_name(request: Request, where: str, path: str) -> dict[str, Any]:
    """Return GKE's DNS endpoint, `gke-<hex>-<number>.<region>.gke.goog`, of a cluster that is reached by it."""
    given = request.inputs.get("controlPlaneEndpointsConfig")
    asked = given.get("dnsEndpointConfig") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(asked, Mapping) or not asked.get("allowExternalTraffic"):
        return {}
    name = f"gke-{digits(path, request.seed)[:32]}-{NUMBER}.{where}.gke.goog"
    return {"controlPlaneEndpointsConfig": {**given, "dnsEndpointConfig": {**asked, "endpoint": name}}}


def _cluster(request: Request) -> tuple[str, dict[str, Any]]:
    where = request.text("location") or request.place.region
    path = f"projects/{_project(request)}/locations/{where}/clusters/{request.text('name')}"
    reached = identity(path, request.seed, where)
    version = request.text("minMasterVersion") or GKE_VERSION
    given = request.inputs.get("masterAuth")
    auth = given if isinstance(given, Mapping) else {"clientCertificateConfig": {"issueClientCertificate": False}}
    return path, {
        "endpoint": reached.server.removeprefix("https://"),
        "masterAuth": {"clientCertificate": "", "clientKey": "", **auth, "clusterCaCertificate": reached.certificate},
        "selfLink": f"https://container.googleapis.com/v1/{path}",
        "location": where,
        "masterVersion": version,
        "nodeVersion": request.text("nodeVersion") or version,
        "clusterIpv4Cidr": request.text("clusterIpv4Cidr") or "10.96.0.0/14",
        "servicesIpv4Cidr": "10.100.0.0/20",
        "nodeLocations": request.inputs.get("nodeLocations", [f"{where}-{zone}" for zone in ZONES]),
        "labelFingerprint": request.hex("labels", 8),
        **_by_name(request, where, path),
    }


def _node_pool(request: Request) -> tuple[str, dict[str, Any]]:
    cluster = request.text("cluster").rpartition("/")[2]
    where = request.text("location") or _part(request.text("cluster"), "locations") or request.place.region
    name = request.text("name")
    path = f"projects/{_project(request)}/locations/{where}/clusters/{cluster}/nodePools/{name}"
    zones = request.inputs.get("nodeLocations", [f"{where}-{zone}" for zone in ZONES])
    groups = [
        f"{COMPUTE}/projects/{_project(request)}/zones/{zone}/instanceGroupManagers/"
        f"gke-{cluster}-{name}-{request.hex(zone, 8)}-grp"
        for zone in zones
    ]
    return path, {
        "location": where,
        "version": request.text("version") or GKE_VERSION,
        "instanceGroupUrls": groups,
        "managedInstanceGroupUrls": [group.replace("Managers", "s") for group in groups],
        "nodeLocations": zones,
        "initialNodeCount": request.inputs.get("initialNodeCount", 0),
        "nodeCount": request.inputs.get("nodeCount", request.inputs.get("initialNodeCount", 0)),
        "maxPodsPerNode": request.inputs.get("maxPodsPerNode", 110),
    }


def _part(path: str, collection: str) -> str:
    parts = path.split("/")
    return parts[parts.index(collection) + 1] if collection in parts[:-1] else ""


def _repository(request: Request) -> tuple[str, dict[str, Any]]:
    name = request.text("repositoryId")
    where = request.text("location") or request.place.region
    return f"projects/{_project(request)}/locations/{where}/repositories/{name}", {
        "name": name,
        "location": where,
        "registryUri": f"oci-layout://{request.place.registries / SITE / name}",
    }


def _bucket(request: Request) -> tuple[str, dict[str, Any]]:
    name = request.text("name")
    return name, {
        "url": f"gs://{name}",
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}",
        "location": request.text("location").upper(),
        "projectNumber": int(NUMBER),
        "timeCreated": request.created,
        "updated": request.created,
        "storageClass": request.text("storageClass") or "STANDARD",
    }


def _service_account(request: Request) -> tuple[str, dict[str, Any]]:
    email = f"{request.text('accountId')}@{_project(request)}.iam.gserviceaccount.com"
    path = f"projects/{_project(request)}/serviceAccounts/{email}"
    return path, {
        "name": path,
        "email": email,
        "member": f"serviceAccount:{email}",
        "uniqueId": str(request.number("unique", 10**20, 10**21)),
    }


def _key_ring(request: Request) -> tuple[str, dict[str, Any]]:
    return f"projects/{_project(request)}/locations/{request.text('location')}/keyRings/{request.text('name')}", {}


def _crypto_key(request: Request) -> tuple[str, dict[str, Any]]:
    path = f"{request.text('keyRing')}/cryptoKeys/{request.text('name')}"
    primary = {"name": f"{path}/cryptoKeyVersions/1", "state": "ENABLED"}
    return path, {
        "primaries": [primary],
        "destroyScheduledDuration": request.text("destroyScheduledDuration") or "2592000s",
    }


def _log_bucket(request: Request) -> tuple[str, dict[str, Any]]:
    where = request.text("location")
    path = f"projects/{_project(request)}/locations/{where}/buckets/{request.text('bucketId')}"
    return path, {"name": path, "lifecycleState": "ACTIVE"}


def _sink(request: Request) -> tuple[str, dict[str, Any]]:
    writer = f"service-{NUMBER}@gcp-sa-logging.iam.gserviceaccount.com"
    return f"projects/{_project(request)}/sinks/{request.text('name')}", {"writerIdentity": f"serviceAccount:{writer}"}


def _service_identity(request: Request) -> tuple[str, dict[str, Any]]:
    service = request.text("service")
    email = service_agent(service.partition(".")[0])
    return f"projects/{_project(request)}/services/{service}", {"email": email, "member": f"serviceAccount:{email}"}


def _identity_pool(request: Request) -> tuple[str, dict[str, Any]]:
    path = f"locations/global/workloadIdentityPools/{request.text('workloadIdentityPoolId')}"
    return f"projects/{_project(request)}/{path}", {"name": f"projects/{NUMBER}/{path}", "state": "ACTIVE"}


def _identity_provider(request: Request) -> tuple[str, dict[str, Any]]:
    pool = f"locations/global/workloadIdentityPools/{request.text('workloadIdentityPoolId')}"
    path = f"{pool}/providers/{request.text('workloadIdentityPoolProviderId')}"
    return f"projects/{_project(request)}/{path}", {"name": f"projects/{NUMBER}/{path}", "state": "ACTIVE"}


def _router_nat(request: Request) -> tuple[str, dict[str, Any]]:
    where = request.text("region") or request.place.region
    return f"{_project(request)}/{where}/{request.text('router')}/{request.text('name')}", {}


def _record_set(request: Request) -> tuple[str, dict[str, Any]]:
    zone = f"projects/{_project(request)}/managedZones/{request.text('managedZone')}"
    return f"{zone}/rrsets/{request.text('name')}/{request.text('type')}", {}


RULES: Final[Mapping[str, Callable[[Request], tuple[str, dict[str, Any]]]]] = {
    "gcp:compute/network:Network": _compute("networks"),
    "gcp:compute/subnetwork:Subnetwork": _compute("subnetworks", "region"),
    "gcp:compute/router:Router": _compute("routers", "region"),
    "gcp:compute/address:Address": _compute("addresses", "region"),
    "gcp:compute/firewall:Firewall": _compute("firewalls"),
    "gcp:compute/healthCheck:HealthCheck": _compute("healthChecks"),
    "gcp:compute/routerNat:RouterNat": _router_nat,
    "gcp:container/cluster:Cluster": _cluster,
    "gcp:container/nodePool:NodePool": _node_pool,
    "gcp:artifactregistry/repository:Repository": _repository,
    "gcp:storage/bucket:Bucket": _bucket,
    "gcp:serviceaccount/account:Account": _service_account,
    "gcp:dns/recordSet:RecordSet": _record_set,
    "gcp:kms/keyRing:KeyRing": _key_ring,
    "gcp:kms/cryptoKey:CryptoKey": _crypto_key,
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": _log_bucket,
    "gcp:logging/projectSink:ProjectSink": _sink,
    "gcp:projects/iAMAuditConfig:IAMAuditConfig": lambda r: (
        f"{_project(r)}/audit_config/{r.text('service')}",
        {"etag": r.hex("etag", 16)},
    ),
    "gcp:projects/serviceIdentity:ServiceIdentity": _service_identity,
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": _identity_pool,
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": _identity_provider,
    "gcp:projects/service:Service": lambda r: (f"{_project(r)}/{r.text('service')}", {}),
}
