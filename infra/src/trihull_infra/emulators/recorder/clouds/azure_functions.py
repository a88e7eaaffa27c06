"""Functions (data sources) of Azure that the emulators answer, and how an emulated AKS cluster is reached."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from trihull_infra.emulators import guards
from trihull_infra.emulators.plugins.provider import RefusedError
from trihull_infra.emulators.recorder.answers import Place
from trihull_infra.emulators.recorder.identities import ClusterIdentity, certificate_authority, digits

SUBSCRIPTION: Final = guards.SUBSCRIPTION
TENANT: Final = "00000000-0000-0000-0000-0000000000aa"
CLIENT: Final = "00000000-0000-0000-0000-0000000000bb"
CLUSTER: Final = "azure-native:containerservice:ManagedCluster"
# A group that every emulated subscription has, made by nobody: it holds a cluster, a registry and a key of any name, so
# that environments which name what is there already can be tried.
SHARED: Final = "shared"


def identity(cluster_id: str, seed: str, where: str) -> ClusterIdentity:
    """Return how an emulated AKS cluster is reached: the form AKS gives its names, drawn from the seed."""
    drawn = digits(cluster_id, seed)
    name = f"{cluster_id.rpartition('/')[2][:40]}-{drawn[:16]}.hcp.{where}.azmk8s.io"
    return ClusterIdentity(f"https://{name.lower()}", certificate_authority(cluster_id, seed))


def server(outputs: Mapping[str, Any]) -> str:
    """Return a recorded cluster's URL."""
    return f"https://{outputs['fqdn']}"


def kubeconfig(outputs: Mapping[str, Any], cluster_id: str, certificate: str, user: str) -> str:
    """Return an AKS kubeconfig (JSON, which is YAML): the shape of listClusterUserCredential with Entra ID."""
    name = cluster_id.rpartition("/")[2]
    login = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": [
            "get-token",
            "--environment",
            "AzurePublicCloud",
            "--server-id",
            "6dae42f8-4368-4678-94ff-3960e28e3630",
        ],
        "provideClusterInfo": False,
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {"server": f"{server(outputs)}:443", "certificate-authority-data": certificate},
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
            "users": [{"name": user, "user": {"exec": login}}],
        }
    )


def invoke(token: str, arguments: Mapping[str, Any], place: Place, find: Callable[[str, str], Any]) -> dict[str, Any]:
    """Answer a function; `find(token, id)` gives a recorded resource's outputs.

    Raises:
        RefusedError: the function is not emulated, or its resource is not there.
    """
    name = token.rpartition(":")[2]
    if name == "getClientConfig":
        return {"clientId": CLIENT, "objectId": CLIENT, "subscriptionId": SUBSCRIPTION, "tenantId": TENANT}
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{arguments.get('resourceGroupName')}"
    if name in ("listManagedClusterUserCredentials", "listManagedClusterAdminCredentials"):
        cluster_id = f"{group}/providers/Microsoft.ContainerService/managedClusters/{arguments.get('resourceName')}"
        found = _cluster(cluster_id, place, find)
        kind = "User" if "User" in name else "Admin"
        user = f"cluster{kind}_{arguments.get('resourceGroupName')}_{arguments.get('resourceName')}"
        text = kubeconfig(found, cluster_id, found["__certificate"], user)
        return {"kubeconfigs": [{"name": f"cluster{kind}", "value": base64.b64encode(text.encode()).decode()}]}
    if name == "listStorageAccountKeys":
        account = f"{group}/providers/Microsoft.Storage/storageAccounts/{arguments.get('accountName')}"
        if find("azure-native:storage:StorageAccount", account) is None:
            raise RefusedError(f"the storage account {account} was not found")
        value = base64.b64encode(digits(account, "key").encode()).decode()
        return {"keys": [{"keyName": "key1", "permissions": "FULL", "value": value, "creationTime": ""}]}
    if name == "getManagedCluster":
        cluster_id = f"{group}/providers/Microsoft.ContainerService/managedClusters/{arguments.get('resourceName')}"
        return {**_cluster(cluster_id, place, find), "id": cluster_id, "name": arguments.get("resourceName")}
    if name == "getRegistry":
        registry_id = f"{group}/providers/Microsoft.ContainerRegistry/registries/{arguments.get('registryName')}"
        return _registry(registry_id, place, find)
    if name == "getKey":
        key_id = (
            f"{group}/providers/Microsoft.KeyVault/vaults/{arguments.get('vaultName')}/keys/{arguments.get('keyName')}"
        )
        return _key(key_id, find)
    raise RefusedError(f"{token} is not emulated; see docs/emulators.md for the functions that are")


def _shared(resource_id: str) -> bool:
    return resource_id.split("/")[4].lower() == SHARED


def _cluster(cluster_id: str, place: Place, find: Callable[[str, str], Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = find(CLUSTER, cluster_id)
    if found is not None:
        return found
    if not _shared(cluster_id):
        raise RefusedError(f"the managed cluster {cluster_id} was not found")
    reached = identity(cluster_id, SHARED, place.region)
    kubelet = {"objectId": drawn_uuid(cluster_id, "object"), "clientId": drawn_uuid(cluster_id, "client")}
    issuer = f"https://{place.region}.oic.prod-aks.azure.com/{TENANT}/{drawn_uuid(cluster_id, 'issuer')}/"
    return {
        "fqdn": reached.server.removeprefix("https://"),
        "identityProfile": {"kubeletidentity": kubelet},
        "oidcIssuerProfile": {"enabled": True, "issuerURL": issuer},
        "location": place.region,
        "__certificate": reached.certificate,
    }


def _registry(registry_id: str, place: Place, find: Callable[[str, str], Any]) -> dict[str, Any]:
    found = find("azure-native:containerregistry:Registry", registry_id)
    name = registry_id.rpartition("/")[2]
    if found is None and not _shared(registry_id):
        raise RefusedError(f"the registry {registry_id} was not found")
    login = found["loginServer"] if found is not None else f"oci-layout://{place.registries / 'azure' / name}"
    return {"id": registry_id, "name": name, "loginServer": login}


def _key(key_id: str, find: Callable[[str, str], Any]) -> dict[str, Any]:
    found = find("azure-native:keyvault:Key", key_id)
    if found is not None:
        return {**found, "id": key_id}
    if not _shared(key_id):
        raise RefusedError(f"the key {key_id} was not found")
    *_, vault, _, name = key_id.split("/")
    uri = f"https://{vault}.vault.azure.net/keys/{name}"
    return {"id": key_id, "name": name, "keyUri": uri, "keyUriWithVersion": f"{uri}/{digits(key_id, 'version')[:32]}"}


def drawn_uuid(resource_id: str, label: str) -> str:
    """Return a stable UUID for something of a resource that nobody made."""
    drawn = digits(resource_id, label)
    return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-a{drawn[17:20]}-{drawn[20:32]}"
