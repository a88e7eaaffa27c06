"""What a site on Azure amounts to, read from what was registered."""

from collections.abc import Sequence

from trihull_infra import naming
from trihull_infra.provider import Properties
from trihull_infra.registered import Registered, labels_of_all, machine_of, of_type, serving_account, the


def describe(registered: Sequence[Registered]) -> Properties:
    """Say what the registered resources of a site amount to; a pure function over what a program registered."""
    cluster = the(registered, "azure-native:containerservice:ManagedCluster")
    groups = of_type(registered, "azure-native:containerservice:AgentPool")
    spot = [group for group in groups if group.get("scaleSetPriority") == "Spot"]
    machine = machine_of(groups[0].get("vmSize"))
    registry = the(registered, "azure-native:containerregistry:Registry")
    account = the(registered, "azure-native:storage:StorageAccount")
    container = the(registered, "azure-native:storage:BlobContainer")
    logs = the(registered, "azure-native:monitor:DiagnosticSetting").get("logs") or ()
    credentials = of_type(registered, "azure-native:managedidentity:FederatedIdentityCredential")
    issued = (
        cluster.get("oidcIssuerProfile", "enabled") is True
        and cluster.get("securityProfile", "workloadIdentity", "enabled") is True
    )
    return Properties(
        zones=len(groups[0].get("availabilityZones") or ()),
        kubernetes_version=cluster.get("kubernetesVersion"),
        api_server_networks=tuple(cluster.get("apiServerAccessProfile", "authorizedIPRanges") or ()),
        api_server_private_only=cluster.get("apiServerAccessProfile", "enablePrivateCluster") is True,
        api_server_cloud_identities_only=cluster.get("disableLocalAccounts") is True
        and cluster.get("aadProfile", "enableAzureRBAC") is True,
        control_plane_logged="kube-audit-admin" in [log["category"] for log in logs if log["enabled"]],
        secrets_with_own_key=cluster.get("securityProfile", "azureKeyVaultKms", "enabled") is True,
        network_policy_enforced=cluster.get("networkProfile", "networkPolicy") == "cilium",
        deletion_guarded=bool(of_type(registered, "azure-native:authorization:ManagementLockByScope")),
        node_vcpus=machine.vcpus,
        node_memory_gib=machine.memory_gib,
        nodes_min=sum(int(group.get("minCount")) for group in groups),
        nodes_max=sum(int(group.get("maxCount")) for group in groups),
        spot_nodes_max=sum(int(group.get("maxCount")) for group in spot),
        spot_nodes_tainted=all(
            any(taint.startswith(f"{naming.SPOT_LABEL}=") for taint in group.get("nodeTaints") or ()) for group in spot
        ),
        nodes_private=all(group.get("enableNodePublicIP") is False for group in groups),
        nodes_with_own_identity="kubeletidentity" in (cluster.get("identityProfile") or {}),
        node_metadata_guarded=False,  # pods reach the metadata service; NetworkPolicy is what keeps ours from it
        pools_scale_themselves=all(group.get("enableAutoScaling") is True for group in groups),
        registry_tags_immutable=False,  # a registry has no such setting; images are used by digest alone
        registry_scans=False,  # Defender for Containers is a plan of the subscription
        registry_named_accounts_only=registry.get("adminUserEnabled") is False
        and registry.get("anonymousPullEnabled") is False,
        bucket_versioned=the(registered, "azure-native:storage:BlobServiceProperties").get("isVersioningEnabled")
        is True,
        bucket_private=account.get("allowBlobPublicAccess") is False and container.get("publicAccess") == "None",
        bucket_identities_only=account.get("allowSharedKeyAccess") is False,
        bucket_tls_only=account.get("enableHttpsTrafficOnly") is True,
        bucket_with_own_key=account.get("encryption", "keySource") == "Microsoft.Keyvault",
        workload_identity=tuple(name for one in credentials for name in serving_account(one.get("subject")) if issued),
        labels=labels_of_all(registered, ("tags",)),
    )
