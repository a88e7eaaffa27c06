"""Functions (data sources) of Google Cloud that the emulators answer, and the accounts by which its services act."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from trihull_infra import kubernetes_versions
from trihull_infra.cloud import Cloud
from trihull_infra.emulators import guards
from trihull_infra.emulators.plugins.provider import RefusedError
from trihull_infra.emulators.recorder.answers import Place
from trihull_infra.emulators.recorder.identities import certificate_authority

PROJECT: Final = guards.PROJECT
NUMBER: Final = "100000000001"
ZONES: Final = ("a", "b", "c")
GKE_VERSION: Final = f"{kubernetes_versions.newest(Cloud.GCP)}.1-gke.1080000"  # when none is asked for
# Services whose agents have an address that does not follow from the service's own name. Source, on 2026-11-28:
# GoogleCloudPlatform/cloud-foundation-fabric, modules/project/service-agents.yaml @275dd6a9e (2026-04-22), in which
# Artifact Registry's and Logging's have the usual form. Google's own page (docs.cloud.google.com/iam/docs/service-
# agents) says that forms may change; programs ask for addresses wherever the provider has a function for it.
AGENTS: Final = {"container": "container-engine-robot", "compute": "compute-system", "storage": "gs-project-accounts"}


def service_agent(service: str) -> str:
    """Return the address of the account by which a service acts in the project."""
    return f"service-{NUMBER}@{AGENTS.get(service, f'gcp-sa-{service}')}.iam.gserviceaccount.com"


def invoke(
    function: str, arguments: Mapping[str, Any], place: Place, find: Callable[[str, str], Any]
) -> dict[str, Any]:
    """Answer a function; `find(token, id)` gives a recorded resource's outputs.

    Raises:
        RefusedError: the function is not emulated, or what it asks for is not there.
    """
    project = str(arguments.get("project") or place.configuration.get("project") or PROJECT)
    where = str(arguments.get("location") or arguments.get("region") or place.region)
    match function.rpartition(":")[2]:
        case "getProject":
            asked = str(arguments.get("projectId") or project)
            return {"id": f"projects/{asked}", "projectId": asked, "number": NUMBER, "name": asked, "labels": {}}
        case "getClientConfig":
            zone = f"{place.region}-a"
            return {
                "id": project,
                "project": project,
                "region": place.region,
                "zone": zone,
                "accessToken": "",
                "defaultLabels": {},
            }
        case "getProjectServiceAccount":
            email = service_agent("storage")
            return {"id": email, "emailAddress": email, "member": f"serviceAccount:{email}", "project": project}
        case "getProjectCmekSettings":
            name = f"projects/{project}/cmekSettings"
            # From memory: no source says what these look like. Programs take it as it comes.
            agent = f"cmek-p{NUMBER}@gcp-sa-logging.iam.gserviceaccount.com"
            return {"id": name, "name": name, "project": project, "kmsKeyName": "", "serviceAccountId": agent}
        case "getZones":
            return {"id": where, "names": [f"{where}-{zone}" for zone in ZONES], "project": project, "region": where}
        case "getEngineVersions":
            return _versions(project)
        case "getCluster":
            return _cluster(project, where, str(arguments.get("name")), find)
        case "getRepository":
            return _repository(project, where, str(arguments.get("repositoryId")), place, find)
        case _:
            raise RefusedError(f"{function} is not emulated; see docs/emulators.md for the functions that are")


def _versions(project: str) -> dict[str, Any]:
    versions = {"validMasterVersions": [GKE_VERSION], "validNodeVersions": [GKE_VERSION]}
    latest = {
        "latestMasterVersion": GKE_VERSION,
        "latestNodeVersion": GKE_VERSION,
        "defaultClusterVersion": GKE_VERSION,
    }
    channels = {"REGULAR": GKE_VERSION, "STABLE": GKE_VERSION, "RAPID": GKE_VERSION}
    more = {"releaseChannelDefaultVersion": channels, "releaseChannelLatestVersion": channels}
    return {"id": GKE_VERSION, "project": project, **versions, **latest, **more}


def _cluster(project: str, where: str, name: str, find: Callable[[str, str], Any]) -> dict[str, Any]:
    path = f"projects/{project}/locations/{where}/clusters/{name}"
    found = find("gcp:container/cluster:Cluster", path)
    if found is None and project == PROJECT:
        raise RefusedError(f"cluster {name} not found in {where}")
    if found is None:  # of another project all that is asked for is there: only mocks ask
        authority = {"clusterCaCertificate": certificate_authority(path, project), "clientCertificate": ""}
        found = {"name": name, "location": where, "endpoint": "240.0.0.1", "masterAuth": authority}
    return {**found, "id": path, "masterAuths": [found["masterAuth"]]}


def _repository(project: str, where: str, name: str, place: Place, find: Callable[[str, str], Any]) -> dict[str, Any]:
    path = f"projects/{project}/locations/{where}/repositories/{name}"
    found = find("gcp:artifactregistry/repository:Repository", path)
    if found is None and project == PROJECT:
        raise RefusedError(f"repository {name} not found in {where}")
    uri = f"oci-layout://{place.registries / place.site / name}"
    return {**(found or {"name": name, "location": where, "registryUri": uri}), "id": path, "repositoryId": name}
