"""What Google Cloud says of the project: whose credentials, APIs, quotas, offers, versions, the cluster. Plain REST.

Sources, looked up on 2026-11-24:
  projects.testIamPermissions  docs.cloud.google.com/resource-manager/reference/rest/v1/projects/testIamPermissions
  services.batchGet            cloud.google.com/service-usage/docs/reference/rest/v1/services/batchGet (at most 30)
  regions.get, quotas          docs.cloud.google.com/compute/docs/reference/rest/v1/regions/get; the metrics' names:
                               Quota.Metric of the compute v1 client libraries (googleapis.deno.dev, compute:v1, Quota)
  spot and PREEMPTIBLE_*       docs.cloud.google.com/compute/docs/instances/create-use-spot: without preemptible quota
                               spot VMs count in the quotas of others
  serverConfig                 container v1, projects.locations.getServerConfig: validMasterVersions
  clusters.get                 ControlPlaneEndpointsConfig.DNSEndpointConfig of google.container.v1
Compute v1 publishes no quota of some newer families and devices (H100); then nothing is claimed. That N1
counts in CPUS was not looked up. No account was asked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
import requests

from trihull_infra.doctor import findings, needs
from trihull_infra.doctor.findings import Finding
from trihull_infra.doctor.rest import Rest, RestError
from trihull_infra.doctor.seam import ApiServer, Asked, pem
from trihull_infra.providers.gcp.spec import GcpSpec

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
APIS: Final = (
    "artifactregistry",
    "cloudkms",
    "cloudresourcemanager",
    "compute",
    "container",
    "dns",
    "iam",
    "iamcredentials",
    "logging",
    "serviceusage",
    "storage",
)
# One permission for each kind of thing that a site makes; having them is no proof, lacking one is.
PERMISSIONS: Final = (
    "artifactregistry.repositories.create",
    "cloudkms.keyRings.create",
    "compute.networks.create",
    "container.clusters.create",
    "iam.serviceAccounts.create",
    "logging.buckets.create",
    "resourcemanager.projects.setIamPolicy",
    "serviceusage.services.enable",
    "storage.buckets.create",
)
# Accelerator types -> the metric of their quota; those that are not here have none in compute v1.
DEVICES: Final[Mapping[str, str]] = {
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
}
_SPOT: Final = "PREEMPTIBLE_"
_LOG_IN: Final = "log in: `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"


def _rest(api: str) -> Rest:
    found, _ = google.auth.default(scopes=[SCOPE])
    session: requests.Session = google.auth.transport.requests.AuthorizedSession(found)  # type: ignore[no-untyped-call]  # google-auth types little
    return Rest(session, _base(api))


def _base(api: str) -> str:
    """Return the address of one of Google's APIs."""
    return f"https://{api}.googleapis.com"


def host(asked: Asked) -> str:
    """Return the URL of the compute API."""
    return _base("compute")


def credentials(asked: Asked) -> Sequence[Finding]:
    """Say who the credentials are of, and which of the permissions that a deploy needs they lack in the project."""
    found, project = google.auth.default(scopes=[SCOPE])
    found.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]  # google-auth types little
    who = getattr(found, "service_account_email", None) or f"a person's or a federated login ({type(found).__name__})"
    wanted = asked.spec.account
    # What a login names as its own project does not count: the engine's provider is bound to the environment's.
    own = f", whose own project is {project}" if project and project != wanted else ""
    had = _rest("cloudresourcemanager").post(
        f"/v1/projects/{wanted}:testIamPermissions", {"permissions": list(PERMISSIONS)}
    )
    missing = sorted(set(PERMISSIONS) - set(had.get("permissions", ())))
    if len(missing) == len(PERMISSIONS):
        return [
            findings.failed(
                f"{who}{own} may do nothing in project {wanted}",
                "log in as somebody who may, or correct clouds.gcp.project",
            )
        ]
    seen = f"{who}{own} in project {wanted}"
    if missing:
        return [
            findings.failed(f"{seen} lacks {', '.join(missing)}", "grant a role that has them (getting-started-gcp.md)")
        ]
    return [findings.ok(seen)]


def apis(asked: Asked) -> Sequence[Finding]:
    """Say which APIs are off; a deploy turns them on, so only Service Usage itself must be on."""
    project = asked.spec.account
    names = [f"projects/{project}/services/{api}.googleapis.com" for api in APIS]
    found = _rest("serviceusage").get_each(f"/v1/projects/{project}/services:batchGet", "names", names)
    on = {
        str(one.get("name", "")).rpartition("/")[2]
        for one in found.get("services", ())
        if one.get("state") == "ENABLED"
    }
    off = [f"{api}.googleapis.com" for api in APIS if f"{api}.googleapis.com" not in on]
    if off:
        do = f"`up` turns them on, if it may; or `gcloud services enable --project {project} {' '.join(off)}`"
        return [findings.warning(f"off in {project}: {', '.join(off)}", do)]
    return [findings.ok(f"all {len(APIS)} are on in {project}")]


def quotas(asked: Asked) -> Sequence[Finding]:
    """Say whether vCPUs, accelerators, addresses, networks and routers are enough."""
    assert isinstance(asked.spec, GcpSpec)
    project, region, compute = asked.spec.account, asked.spec.region, _rest("compute")
    regional = _quotas(compute.get(f"/compute/v1/projects/{project}/regions/{region}", fields="name,quotas"))
    whole = _quotas(compute.get(f"/compute/v1/projects/{project}", fields="name,quotas"))
    up = cluster(asked) is not None
    wanted: Counter[str] = Counter()
    devices = 0
    for need in needs.nodes(asked.environment, asked.cloud):
        wanted[_metric(cpus(need.types[0]), need.spot, regional)] += need.vcpus_all
        if need.accelerators:
            devices += need.accelerators_all
            device = DEVICES.get(need.accelerator_type or "", f"{need.accelerator_type}, unpublished")
            wanted[_metric(device, need.spot, regional)] += need.accelerators_all
    own = asked.spec.existing.network is None
    if own:
        wanted["IN_USE_ADDRESSES"] += 1  # Cloud NAT takes them as it needs them, one at least
    seen = [_against(asked, metric, need, regional, region, up) for metric, need in sorted(wanted.items())]
    all_of_it: dict[str, float] = {
        "CPUS_ALL_REGIONS": sum(n.vcpus_all for n in needs.nodes(asked.environment, asked.cloud))
    }
    all_of_it |= {"GPUS_ALL_REGIONS": devices} if devices else {}
    all_of_it |= {"NETWORKS": 1, "ROUTERS": 1} if own else {}
    return [*seen, *(_against(asked, metric, need, whole, "the project", up) for metric, need in all_of_it.items())]


def offers(asked: Asked) -> Sequence[Finding]:
    """Say which machine and accelerator types the zones do not have."""
    compute, project = _rest("compute"), asked.spec.account
    wanted: dict[str, str] = {}
    for need in needs.nodes(asked.environment, asked.cloud):
        wanted[need.types[0]] = "machineTypes"
        if need.accelerator_type:
            wanted[need.accelerator_type] = "acceleratorTypes"
    seen = []
    for name, kind in wanted.items():
        missing = [
            zone
            for zone in asked.spec.zone_names
            if not _there(compute, f"/compute/v1/projects/{project}/zones/{zone}/{kind}/{name}")
        ]
        if not missing:
            seen.append(findings.ok(f"{name} in {', '.join(asked.spec.zone_names)}"))
        elif len(missing) < len(asked.spec.zone_names):
            do = "choose zones that have it, or another machine class"
            seen.append(findings.warning(f"{name} is not offered in {', '.join(missing)}", do))
        else:
            do = "choose another machine class, zone or region"
            seen.append(findings.failed(f"{name} is offered in none of {', '.join(missing)}", do))
    return seen


def versions(asked: Asked) -> Sequence[Finding]:
    """Say whether GKE still makes masters of the Kubernetes version in the region."""
    version = asked.environment.kubernetes_version
    path = f"/v1/projects/{asked.spec.account}/locations/{asked.spec.region}/serverConfig"
    masters = _rest("container").get(path).get("validMasterVersions", ())
    had = sorted(
        {".".join(str(one).split(".")[:2]) for one in masters}, key=lambda one: int(one.partition(".")[2] or 0)
    )
    if version in had:
        return [findings.ok(f"{version} is one of {', '.join(had)}")]
    return [
        findings.failed(
            f"GKE has no {version} here; it has {', '.join(had) or 'none'}", "set kubernetes_version to one of them"
        )
    ]


def cluster(asked: Asked) -> ApiServer | None:
    """Return the GKE cluster's endpoint: by its DNS name where that is asked for, else by its address."""
    assert isinstance(asked.spec, GcpSpec)
    name = asked.spec.existing.cluster or asked.name
    path = f"/v1/projects/{asked.spec.account}/locations/{asked.spec.region}/clusters/{name}"
    try:
        found = _rest("container").get(path)
    except RestError as error:
        if error.status == 404 or error.code == "SERVICE_DISABLED":
            return None
        raise
    by_name = found.get("controlPlaneEndpointsConfig", {}).get("dnsEndpointConfig", {})
    if asked.spec.dns_endpoint and by_name.get("allowExternalTraffic") and by_name.get("endpoint"):
        return ApiServer(by_name["endpoint"], 443, None)
    if not found.get("endpoint"):
        return None
    return ApiServer(found["endpoint"], 443, pem(found.get("masterAuth", {}).get("clusterCaCertificate")))


def problem(error: Exception) -> Finding:
    """Say what an error of google-auth, requests or the API means."""
    text = findings.plain(error)
    if isinstance(
        error, google.auth.exceptions.TransportError | requests.exceptions.ConnectionError | requests.Timeout
    ):
        return findings.failed(
            f"Google Cloud is not reached: {text}", "check network, proxy (HTTPS_PROXY) and firewall"
        )
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        return findings.failed(f"no credentials for Google Cloud: {text}", _LOG_IN)
    if isinstance(error, RestError):
        if error.status == 401:
            return findings.failed(f"Google Cloud refuses the credentials: {text}", _LOG_IN)
        if error.code == "SERVICE_DISABLED":
            return findings.not_asked(f"the API that says so is off: {text}", "turn it on and ask again")
        if error.status == 403:
            return findings.warning(f"not allowed to ask: {text}", "grant the permission it names, or ask who may")
        if error.status == 404:
            return findings.failed(f"not there: {text}", "check clouds.gcp.project and region")
    return findings.failed(f"{type(error).__name__}: {text}", "look into the message")


def cpus(machine_type: str) -> str:
    """Return the metric in which a machine type's vCPUs count: `n2-standard-4` -> `N2_CPUS`, N1 -> `CPUS`."""
    family = machine_type.partition("-")[0].upper()
    return "CPUS" if family == "N1" else f"{family}_CPUS"


def _metric(metric: str, spot: bool, regional: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the metric that spot counts in: one of its own where that was granted."""
    own = f"{_SPOT}{'CPUS' if metric.endswith('CPUS') else metric}"
    return own if spot and regional.get(own, {}).get("limit", 0) > 0 else metric


def _quotas(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(one.get("metric")): one for one in found.get("quotas", ())}


def _against(
    asked: Asked, metric: str, need: float, had: Mapping[str, Mapping[str, Any]], where: str, up: bool
) -> Finding:
    quota = had.get(metric)
    if quota is None:
        page = f"https://console.cloud.google.com/iam-admin/quotas?project={asked.spec.account}"
        return findings.not_asked(f"{metric} of {where}: not published; {need:g} are needed", f"look at {page}")
    do = f"ask for more at https://console.cloud.google.com/iam-admin/quotas?project={asked.spec.account}"
    return findings.compare(
        f"{metric} of {where}", need, float(quota["limit"]), float(quota.get("usage", 0)), do, up=up
    )


def _there(compute: Rest, path: str) -> bool:
    try:
        compute.get(path, fields="name")
    except RestError as error:
        if error.status == 404:
            return False
        raise
    return True
