"""Azure as `pulumi_azure_native` shows it: ARM ids from path arguments, login servers, AKS names and kubeconfigs."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from trihull_infra.emulators import guards
from trihull_infra.emulators.plugins.provider import RefusedError
from trihull_infra.emulators.recorder.answers import Answer, Place, Request
from trihull_infra.emulators.recorder.facts import Facts
from trihull_infra.emulators.recorder.identities import ClusterIdentity, certificate_authority, digits

SITE: Final = "azure"
SUBSCRIPTION: Final = guards.SUBSCRIPTION
TENANT: Final = "00000000-0000-0000-0000-0000000000aa"
CLIENT: Final = "00000000-0000-0000-0000-0000000000bb"
CLUSTERS: Final = ("azure-native:containerservice:ManagedCluster",)
REGISTRIES: Final = ("azure-native:containerregistry:Registry",)
KUBERNETES_VERSION: Final = "1.33.5"

# Namespaces whose spelling is not the module's name with a capital (learn.microsoft.com, resource providers).
NAMESPACES: Final = {
    "app": "Microsoft.App",
    "authorization": "Microsoft.Authorization",
    "containerregistry": "Microsoft.ContainerRegistry",
    "containerservice": "Microsoft.ContainerService",
    "dns": "Microsoft.Network",
    "keyvault": "Microsoft.KeyVault",
    "managedidentity": "Microsoft.ManagedIdentity",
    "monitor": "Microsoft.Insights",
    "network": "Microsoft.Network",
    "operationalinsights": "Microsoft.OperationalInsights",
    "privatedns": "Microsoft.Network",
    "resources": "Microsoft.Resources",
    "storage": "Microsoft.Storage",
    "trafficmanager": "Microsoft.Network",
}
# ARM paths after the resource group, by type; every `{x}` is a path argument. Source: the REST reference of each.
PATHS: Final = {
    "containerservice:ManagedCluster": "managedClusters/{resourceName}",
    "containerservice:AgentPool": "managedClusters/{resourceName}/agentPools/{agentPoolName}",
    "containerservice:MaintenanceConfiguration": (
        "managedClusters/{resourceName}/maintenanceConfigurations/{configName}"
    ),
    "containerregistry:Registry": "registries/{registryName}",
    "containerregistry:Replication": "registries/{registryName}/replications/{replicationName}",
    "dns:RecordSet": "dnsZones/{zoneName}/{recordType}/{relativeRecordSetName}",
    "storage:StorageAccount": "storageAccounts/{accountName}",
    "storage:BlobServiceProperties": "storageAccounts/{accountName}/blobServices/{blobServicesName}",
    "storage:BlobContainer": "storageAccounts/{accountName}/blobServices/default/containers/{containerName}",
    "storage:ManagementPolicy": "storageAccounts/{accountName}/managementPolicies/{managementPolicyName}",
    "managedidentity:UserAssignedIdentity": "userAssignedIdentities/{resourceName}",
    "managedidentity:FederatedIdentityCredential": (
        "userAssignedIdentities/{resourceName}/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}"
    ),
    "network:VirtualNetwork": "virtualNetworks/{virtualNetworkName}",
    "network:Subnet": "virtualNetworks/{virtualNetworkName}/subnets/{subnetName}",
    "network:NatGateway": "natGateways/{natGatewayName}",
    "network:PublicIPAddress": "publicIPAddresses/{publicIpAddressName}",
    "network:NetworkSecurityGroup": "networkSecurityGroups/{networkSecurityGroupName}",
    "keyvault:Vault": "vaults/{vaultName}",
    "keyvault:Key": "vaults/{vaultName}/keys/{keyName}",
    "operationalinsights:Workspace": "workspaces/{workspaceName}",
    "trafficmanager:Profile": "trafficManagerProfiles/{profileName}",
}


def region(configuration: Mapping[str, Any]) -> str:
    """Return the location a provider works in when a resource names none."""
    return str(configuration.get("location") or "westeurope")


def path_arguments(facts: Facts) -> list[str]:
    """Return the arguments that make up a type's ARM path: those that never come back as outputs."""
    return [name for name in facts.input_only if facts.inputs[name].type.kind == "str" and name.endswith("Name")]


def naming(facts: Facts) -> tuple[str, str] | None:
    """Return (property, style) of a type's name when the provider makes one up.

    Top-level resources get eight hexadecimal digits, children copy the program's name, role assignments get a UUID
    (pulumi-azure-native, provider/pkg/gen: auto-naming kinds random, copy and uuid).
    """
    free = [name for name in path_arguments(facts) if not facts.inputs[name].required]
    parents = [name for name in path_arguments(facts) if facts.inputs[name].required and name != "resourceGroupName"]
    if not free:
        own = facts.inputs.get("name")  # diagnostic settings: named beside what they watch
        return ("name", "joined") if own and not own.required and facts.token.endswith(":DiagnosticSetting") else None
    if free[-1] == "roleAssignmentName":
        return free[-1], "uuid"
    return free[-1], "copy" if parents else "joined"


def name_limit(token: str) -> int:
    """Return the longest name the cloud takes (learn.microsoft.com, naming rules for Azure resources)."""
    limits = {"storage:StorageAccount": 24, "keyvault:Vault": 24, "containerregistry:Registry": 50}
    return limits.get(token.partition(":")[2], 63)


def answer(request: Request) -> Answer:
    """Return a resource's id and computed outputs."""
    short = request.facts.token.partition(":")[2]
    resource_id = _arm_id(request, short)
    module = short.partition(":")[0]
    if short == "resources:ResourceGroup":
        arm_type = "Microsoft.Resources/resourceGroups"
    else:
        tail = resource_id.rpartition("/providers/")[2].split("/")
        arm_type = "/".join([NAMESPACES.get(module, tail[0]), *tail[1::2]])
    shared: dict[str, Any] = {
        "name": resource_id.rpartition("/")[2],
        "type": arm_type,
        "azureApiVersion": "emulated",
        "provisioningState": "Succeeded",
        "location": request.text("location") or request.place.region,
        "etag": f'W/"{request.uuid("etag")}"',
        "eTag": request.uuid("etag"),
        "resourceGuid": request.uuid("guid"),
        "systemData": {"createdAt": request.created, "lastModifiedAt": request.created},
    }
    known = {key: value for key, value in shared.items() if key in request.facts.outputs}
    for key in ("type", "location"):
        if request.inputs.get(key) is not None:
            known.pop(key, None)  # AgentPool's `type` is an argument, not the ARM type
    rule = RULES.get(short)
    return Answer(resource_id, {**known, **(rule(request) if rule else {})})


def _arm_id(request: Request, short: str) -> str:
    module, _, kind = short.partition(":")
    if short == "resources:ResourceGroup":
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{request.text('resourceGroupName')}"
    if short == "authorization:RoleAssignment":
        name = request.text("roleAssignmentName")
        return f"{request.text('scope')}/providers/Microsoft.Authorization/roleAssignments/{name}"
    if short == "monitor:DiagnosticSetting":
        return f"{request.text('resourceUri')}/providers/Microsoft.Insights/diagnosticSettings/{request.text('name')}"
    group = request.text("resourceGroupName")
    scope = f"/subscriptions/{SUBSCRIPTION}" + (f"/resourceGroups/{group}" if group else "")
    namespace = NAMESPACES.get(module, f"Microsoft.{module[:1].upper()}{module[1:]}")
    if short in PATHS:
        path = PATHS[short].format_map({name: request.text(name) for name in request.facts.inputs})
        return f"{scope}/providers/{namespace}/{path}"
    names = [name for name in path_arguments(request.facts) if name != "resourceGroupName"]
    *parents, own = [request.text(name) for name in names] or [request.name]
    middle = [part for name, value in zip(names[:-1], parents, strict=True) for part in (_plural(name[:-4]), value)]
    return "/".join([scope, "providers", namespace, *middle, _plural(f"{kind[:1].lower()}{kind[1:]}"), own])


def _plural(word: str) -> str:
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return word if word.endswith("s") else f"{word}s"


def identity(cluster_id: str, seed: str, where: str) -> ClusterIdentity:
    """Return how an emulated AKS cluster is reached: the form AKS gives its names, drawn from the seed."""
    drawn = digits(cluster_id, seed)
    name = f"{cluster_id.rpartition('/')[2][:40]}-{drawn[:16]}.hcp.{where}.azmk8s.io"
    return ClusterIdentity(f"https://{name.lower()}", certificate_authority(cluster_id, seed))


def server(outputs: Mapping[str, Any]) -> str:
    """Return a recorded cluster's URL."""
    return f"https://{outputs['fqdn']}"


def _cluster(request: Request) -> dict[str, Any]:
    where = request.text("location") or request.place.region
    resource_id = _arm_id(request, "containerservice:ManagedCluster")
    reached = identity(resource_id, request.seed, where)
    version = request.text("kubernetesVersion") or KUBERNETES_VERSION
    outputs: dict[str, Any] = {
        "fqdn": reached.server.removeprefix("https://"),
        "currentKubernetesVersion": version,
        "kubernetesVersion": version,
        "dnsPrefix": request.text("dnsPrefix") or resource_id.rpartition("/")[2],
        "nodeResourceGroup": request.text("nodeResourceGroup")
        or f"MC_{request.text('resourceGroupName')}_{resource_id.rpartition('/')[2]}_{where}",
        "maxAgentPools": 100,
        "powerState": {"code": "Running"},
        "resourceUID": request.hex("uid", 24),
    }
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{outputs['nodeResourceGroup']}"
    kubelet = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{outputs['dnsPrefix']}-agentpool"
    outputs["identityProfile"] = request.inputs.get("identityProfile") or {
        "kubeletidentity": {
            "resourceId": kubelet,
            "clientId": request.uuid("kubelet-client"),
            "objectId": request.uuid("kubelet-object"),
        }
    }
    issuer = request.inputs.get("oidcIssuerProfile")
    if isinstance(issuer, Mapping) and issuer.get("enabled"):
        url = f"https://{where}.oic.prod-aks.azure.com/{TENANT}/{request.uuid('issuer')}/"
        outputs["oidcIssuerProfile"] = {**issuer, "issuerURL": url}
    own = request.inputs.get("identity")
    if isinstance(own, Mapping) and own.get("type") == "SystemAssigned":
        outputs["identity"] = {**own, "principalId": request.uuid("principal"), "tenantId": TENANT}
    elif isinstance(own, Mapping) and isinstance(own.get("userAssignedIdentities"), list):
        drawn = {
            str(name): {"clientId": request.uuid(f"client/{name}"), "principalId": request.uuid(f"principal/{name}")}
            for name in own["userAssignedIdentities"]
        }
        outputs["identity"] = {"type": own.get("type"), "userAssignedIdentities": drawn}
    pools = request.inputs.get("agentPoolProfiles")
    if isinstance(pools, list):
        more = {"currentOrchestratorVersion": version, "orchestratorVersion": version, "provisioningState": "Succeeded"}
        outputs["agentPoolProfiles"] = [{**more, **pool} for pool in pools if isinstance(pool, Mapping)]
    return outputs


def _agent_pool(request: Request) -> dict[str, Any]:
    version = request.text("orchestratorVersion") or KUBERNETES_VERSION
    image = "AKSUbuntu-2204gen2containerd-202601.01.0"
    return {
        "currentOrchestratorVersion": version,
        "nodeImageVersion": image,
        "type": request.text("type") or "VirtualMachineScaleSets",
        "powerState": {"code": "Running"},
    }


def _registry(request: Request) -> dict[str, Any]:
    name = request.text("registryName")
    return {
        "loginServer": f"oci-layout://{request.place.registries / SITE / name}",
        "creationDate": request.created,
        "dataEndpointHostNames": [],
    }


def _storage(request: Request) -> dict[str, Any]:
    name = request.text("accountName")
    kinds = ("blob", "dfs", "file", "queue", "table", "web")
    return {
        "creationTime": request.created,
        "primaryLocation": request.text("location") or request.place.region,
        "statusOfPrimary": "available",
        "primaryEndpoints": {kind: f"https://{name}.{kind}.core.windows.net/" for kind in kinds},
    }


def _identity(request: Request) -> dict[str, Any]:
    return {"clientId": request.uuid("client"), "principalId": request.uuid("principal"), "tenantId": TENANT}


def _vault(request: Request) -> dict[str, Any]:
    given = request.inputs.get("properties")
    url = f"https://{request.text('vaultName')}.vault.azure.net/"
    return {
        "properties": {
            "vaultUri": url,
            "provisioningState": "Succeeded",
            **(given if isinstance(given, Mapping) else {}),
        }
    }


def _public_ip(request: Request) -> dict[str, Any]:
    return {"ipAddress": f"198.19.{request.number('ip', 0, 256)}.{request.number('host', 1, 255)}"}  # RFC 2544


def _profile(request: Request) -> dict[str, Any]:
    given = request.inputs.get("dnsConfig")
    names = given if isinstance(given, Mapping) else {}
    return {"dnsConfig": {**names, "fqdn": f"{names.get('relativeName')}.trafficmanager.net"}}


def _workspace(request: Request) -> dict[str, Any]:
    return {"customerId": request.uuid("customer"), "createdDate": request.created, "modifiedDate": request.created}


RULES: Final[Mapping[str, Callable[[Request], dict[str, Any]]]] = {
    "containerservice:ManagedCluster": _cluster,
    "containerservice:AgentPool": _agent_pool,
    "containerregistry:Registry": _registry,
    "storage:StorageAccount": _storage,
    "managedidentity:UserAssignedIdentity": _identity,
    "keyvault:Vault": _vault,
    "network:PublicIPAddress": _public_ip,
    "operationalinsights:Workspace": _workspace,
    "trafficmanager:Profile": _profile,
}


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
        found = find(CLUSTERS[0], cluster_id)
        if found is None:
            raise RefusedError(f"the managed cluster {cluster_id} was not found")
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
    raise RefusedError(f"{token} is not emulated; see docs/emulators.md for the functions that are")
