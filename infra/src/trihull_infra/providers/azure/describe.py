"""What a site on Azure amounts to, read from what was registered."""

import re
from collections.abc import Sequence

from trihull_infra.machines import Architecture
from trihull_infra.provider import Properties
from trihull_infra.providers.azure import roles
from trihull_infra.providers.azure.cluster import WINDOWS
from trihull_infra.registered import (
    Half,
    Registered,
    labels_of_all,
    machine_of,
    of_type,
    pools_of,
    serving_account,
    the,
)

CLUSTER = "azure-native:containerservice:ManagedCluster"
ACCOUNTS = "azure-native:storage:StorageAccount"
ASSIGNMENTS = "azure-native:authorization:RoleAssignment"


def describe(registered: Sequence[Registered]) -> Properties:
    """Say what the registered resources of a site amount to; a pure function over what a program registered."""
    cluster = the(registered, CLUSTER)
    pools = _pools(registered)
    registry = the(registered, "azure-native:containerregistry:Registry")
    account = next((one for one in of_type(registered, ACCOUNTS) if one.name == "bucket-account"), the((), ACCOUNTS))
    container = the(registered, "azure-native:storage:BlobContainer")
    rules = the(registered, "azure-native:storage:ManagementPolicy").get("policy", "rules") or ()
    logged = _logged(registered)
    reached = _reached(registered)
    channel = cluster.get("autoUpgradeProfile", "upgradeChannel")
    windows = {
        one.get("configName") for one in of_type(registered, "azure-native:containerservice:MaintenanceConfiguration")
    }
    credentials = of_type(registered, "azure-native:managedidentity:FederatedIdentityCredential")
    # In a cluster that is there already its owner has turned workload identity on.
    issued = cluster.name == "" or (
        cluster.get("oidcIssuerProfile", "enabled") is True
        and cluster.get("securityProfile", "workloadIdentity", "enabled") is True
    )
    return Properties(
        zones=len(cluster.get("agentPoolProfiles", 0, "availabilityZones") or ()),
        nodes_private=all(pool.get("enableNodePublicIP") is False for pool in pools),
        registry_reached_privately="registry" in reached,
        bucket_reached_privately="blob" in reached,
        connections_logged=the(registered, "azure-native:network:FlowLog").get("enabled") is True,
        kubernetes_version=cluster.get("kubernetesVersion") or "",
        control_plane_upgraded_in_window=set(WINDOWS) <= windows,
        nodes_upgraded_in_window=set(WINDOWS) <= windows
        and cluster.get("autoUpgradeProfile", "nodeOSUpgradeChannel") == "NodeImage",
        minor_upgrades_only_by_hand=channel in ("patch", "none"),
        api_server_networks=tuple(cluster.get("apiServerAccessProfile", "authorizedIPRanges") or ()),
        api_server_private_only=cluster.get("apiServerAccessProfile", "enablePrivateCluster") is True,
        api_server_cloud_identities_only=cluster.get("disableLocalAccounts") is True
        and cluster.get("aadProfile", "enableAzureRBAC") is True,
        control_plane_logged="kube-audit-admin" in logged,
        control_plane_guaranteed=cluster.get("sku", "tier") in ("Standard", "Premium"),
        secrets_with_own_key=cluster.get("securityProfile", "azureKeyVaultKms", "enabled") is True,
        network_policy_enforced=cluster.get("networkProfile", "networkPolicy") == "cilium",
        metrics_for_autoscaling=cluster.name
        != "",  # every AKS cluster has a metrics-server; of no other is anything said
        deletion_guarded=bool(of_type(registered, "azure-native:authorization:ManagementLockByScope")),
        pools=pools_of([_half(pool) for pool in pools]),
        # AKS never lets nodes run as the cluster's identity; in a cluster of ours it is one of our own making.
        nodes_with_own_identity=cluster.name == "" or "kubeletidentity" in (cluster.get("identityProfile") or {}),
        node_metadata_guarded=False,  # pods reach the metadata service; NetworkPolicy is what keeps ours from it
        node_disks_with_own_key=cluster.get("diskEncryptionSetID") is not None,
        nodes_verified_at_boot=all(_verified(pool) for pool in pools),
        pools_scale_themselves=all(pool.get("enableAutoScaling") is True for pool in pools),
        registry_tags_immutable=False,  # a registry has no such setting; images are used by digest alone
        registry_scans=False,  # Defender for Containers is a plan of the subscription
        registry_named_accounts_only=registry.get("adminUserEnabled") is False
        and registry.get("anonymousPullEnabled") is False,
        registry_with_own_key=registry.get("encryption", "status") == "enabled",
        registry_forgets_leftovers=registry.get("policies", "retentionPolicy", "status") == "enabled",
        registry_audited="ContainerRegistryRepositoryEvents" in logged,
        bucket_versioned=the(registered, "azure-native:storage:BlobServiceProperties").get("isVersioningEnabled")
        is True,
        bucket_private=account.get("allowBlobPublicAccess") is False and container.get("publicAccess") == "None",
        bucket_identities_only=account.get("allowSharedKeyAccess") is False,
        bucket_tls_only=account.get("enableHttpsTrafficOnly") is True,
        bucket_with_own_key=account.get("encryption", "keySource") == "Microsoft.Keyvault",
        bucket_forgets_old_versions=any("version" in rule["definition"]["actions"] for rule in rules),
        bucket_access_logged={"StorageRead", "StorageWrite", "StorageDelete"} <= logged,
        keys_rotated_days=_rotated(registered),
        logs_kept_days=the(registered, "azure-native:operationalinsights:Workspace").get("retentionInDays") or 0,
        workload_identity=tuple(name for one in credentials for name in serving_account(one.get("subject")) if issued),
        serving_reads_releases=_limits(registered, (roles.READ,)) == {"releases/"},
        serving_writes_captured_data_only=_limits(registered, roles.WRITE) == {"captured/"},
        deployer=next(
            (one.get("subject") for one in credentials if not str(one.get("subject")).startswith("system:")), None
        ),
        labels=labels_of_all(registered, ("tags",)),
    )


def _pools(registered: Sequence[Registered]) -> list[Registered]:
    """Return every pool, the inline one of a cluster of ours first."""
    inline = the(registered, CLUSTER).get("agentPoolProfiles") or ()
    own = [Registered(CLUSTER, str(pool["name"]), pool) for pool in inline]
    return own + of_type(registered, "azure-native:containerservice:AgentPool")


def _half(pool: Registered) -> Half:
    return Half(
        instance_type=pool.get("vmSize"),
        nodes_min=int(pool.get("minCount")),
        nodes_max=int(pool.get("maxCount")),
        spot=pool.get("scaleSetPriority") == "Spot",
        labels=pool.get("nodeLabels") or {},
        taints=[taint.partition("=")[0] for taint in pool.get("nodeTaints") or ()],
    )


def _verified(pool: Registered) -> bool:
    """Whether a pool's nodes are checked while they boot, as far as AKS can (cluster.py, `verified_at_boot`)."""
    machine = machine_of(pool.get("vmSize"))
    if machine.architecture is Architecture.ARM64:
        return True
    signed = machine.accelerator is not None or pool.get("securityProfile", "enableSecureBoot") is True
    return signed and pool.get("securityProfile", "enableVTPM") is True


def _logged(registered: Sequence[Registered]) -> set[str]:
    """Return the categories of logs that resources keep; those of the bucket's account only from its blobs."""
    settings = of_type(registered, "azure-native:monitor:DiagnosticSetting")
    return {log["category"] for one in settings for log in one.get("logs") or () if log["enabled"]}


def _reached(registered: Sequence[Registered]) -> set[str]:
    """Return the services that have an endpoint in the network and an entry of its name, by Azure's sub-resources."""
    endpoints = of_type(registered, "azure-native:network:PrivateEndpoint")
    found = {
        str(group)
        for one in endpoints
        for connection in one.get("privateLinkServiceConnections") or ()
        for group in connection["groupIds"]
    }
    entries = of_type(registered, "azure-native:network:PrivateDnsZoneGroup")
    return found & {str(zone["name"]) for one in entries for zone in one.get("privateDnsZoneConfigs") or ()}


def _rotated(registered: Sequence[Registered]) -> int:
    """Return after how many days every key gets a new version; 0 where there is no key of ours, or one never does."""
    days = []
    for key in of_type(registered, "azure-native:keyvault:Key"):
        actions = key.get("properties", "rotationPolicy", "lifetimeActions") or ()
        found = [
            re.fullmatch(r"P(\d+)D", action["trigger"]["timeAfterCreate"])
            for action in actions
            if action["action"]["type"] == "rotate"
        ]
        days.append(next((int(match[1]) for match in found if match), 0))
    return max(days) if days and min(days) > 0 else 0


def _limits(registered: Sequence[Registered], actions: Sequence[str]) -> set[str]:
    """Return the prefixes below which serving may act; "everything" for an assignment without a fitting condition."""
    limits: set[str] = set()
    for one in of_type(registered, ASSIGNMENTS):
        if not one.name.startswith("identity-serving-"):
            continue
        role = str(one.get("roleDefinitionId")).rpartition("/")[2]
        reads = role == roles.BLOB_READER
        if reads != (roles.READ in actions):
            continue
        condition = str(one.get("condition") or "")
        covered = all(f"ActionMatches{{'{action}'}}" in condition for action in actions)
        found = re.findall(r"StringStartsWith '([^']*)'", condition)
        limits |= set(found) if covered and found else {"everything"}
    return limits
