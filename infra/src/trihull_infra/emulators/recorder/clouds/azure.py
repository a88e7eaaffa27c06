"""Azure as `pulumi_azure_native` shows it: ARM ids from path arguments, login servers, AKS names and kubeconfigs."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from trihull_infra import kubernetes_versions
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder.answers import Answer, Request
from trihull_infra.emulators.recorder.clouds.azure_functions import (
    CLUSTER,
    SUBSCRIPTION,
    TENANT,
    identity,
    invoke,
    server,
)
from trihull_infra.emulators.recorder.facts import Facts

SITE: Final = "azure"
CLUSTERS: Final = (CLUSTER,)
REGISTRIES: Final = ("azure-native:containerregistry:Registry",)
KUBERNETES_VERSION: Final = f"{kubernetes_versions.newest(Cloud.AZURE)}.1"  # when none is asked for

# Namespaces whose spelling is not the module's name with a capital (learn.microsoft.com, resource providers).
NAMESPACES: Final = {
    "app": "Microsoft.App",
    "authorization": "Microsoft.Authorization",
    "compute": "Microsoft.Compute",
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
    "network:FlowLog": "networkWatchers/{networkWatcherName}/flowLogs/{flowLogName}",
    "network:PrivateEndpoint": "privateEndpoints/{privateEndpointName}",
    "network:PrivateDnsZoneGroup": (
        "privateEndpoints/{privateEndpointName}/privateDnsZoneGroups/{privateDnsZoneGroupName}"
    ),
    "network:NetworkSecurityGroup": "networkSecurityGroups/{networkSecurityGroupName}",
    "privatedns:PrivateZone": "privateDnsZones/{privateZoneName}",
    "privatedns:VirtualNetworkLink": "privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}",
    "compute:DiskEncryptionSet": "diskEncryptionSets/{diskEncryptionSetName}",
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
    if short == "authorization:RoleDefinition":
        name = request.text("roleDefinitionId")
        return f"{request.text('scope')}/providers/Microsoft.Authorization/roleDefinitions/{name}"
    if short == "authorization:ManagementLockByScope":
        return f"{request.text('scope')}/providers/Microsoft.Authorization/locks/{request.text('lockName')}"
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
    outputs |= _users(request)
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


def _users(request: Request) -> dict[str, Any]:
    """Return what a resource is told of the identities that it was given as a list: a map of them."""
    own = request.inputs.get("identity")
    if not isinstance(own, Mapping) or not isinstance(own.get("userAssignedIdentities"), list):
        return {}
    drawn = {
        str(name): {"clientId": request.uuid(f"client/{name}"), "principalId": request.uuid(f"principal/{name}")}
        for name in own["userAssignedIdentities"]
    }
    return {"identity": {"type": own.get("type"), "userAssignedIdentities": drawn}}


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
        **_users(request),
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


def _key(request: Request) -> dict[str, Any]:
    uri = f"https://{request.text('vaultName')}.vault.azure.net/keys/{request.text('keyName')}"
    return {"keyUri": uri, "keyUriWithVersion": f"{uri}/{request.hex('version', 32)}"}


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
    "keyvault:Key": _key,
    "keyvault:Vault": _vault,
    "compute:DiskEncryptionSet": _users,
    "network:FlowLog": _users,
    "network:PublicIPAddress": _public_ip,
    "operationalinsights:Workspace": _workspace,
    "trafficmanager:Profile": _profile,
}


__all__ = [
    "CLUSTERS",
    "REGISTRIES",
    "SITE",
    "answer",
    "identity",
    "invoke",
    "name_limit",
    "naming",
    "path_arguments",
    "region",
    "server",
]
