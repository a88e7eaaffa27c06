"""What a site on Google Cloud amounts to, read from what was registered."""

from collections.abc import Sequence

from trihull_infra import naming
from trihull_infra.provider import Properties
from trihull_infra.registered import Registered, labels_of_all, machine_of, of_type, serving_account, the


def describe(registered: Sequence[Registered]) -> Properties:
    """Say what the registered resources of a site amount to; a pure function over what a program registered."""
    cluster = the(registered, "gcp:container/cluster:Cluster")
    groups = of_type(registered, "gcp:container/nodePool:NodePool")
    spot = [group for group in groups if group.get("nodeConfig", "spot") is True]
    machine = machine_of(groups[0].get("nodeConfig", "machineType"))
    repository = the(registered, "gcp:artifactregistry/repository:Repository")
    bucket = the(registered, "gcp:storage/bucket:Bucket")
    associations = [
        one
        for one in of_type(registered, "gcp:serviceaccount/iAMMember:IAMMember")
        if one.get("role") == "roles/iam.workloadIdentityUser"
    ]
    return Properties(
        zones=len(cluster.get("nodeLocations") or ()),
        kubernetes_version=cluster.get("minMasterVersion"),
        api_server_networks=tuple(
            block["cidrBlock"] for block in cluster.get("masterAuthorizedNetworksConfig", "cidrBlocks") or ()
        ),
        api_server_private_only=cluster.get("privateClusterConfig", "enablePrivateEndpoint") is True,
        api_server_cloud_identities_only=cluster.get("enableLegacyAbac") is False
        and cluster.get("masterAuth", "clientCertificateConfig", "issueClientCertificate") is False,
        control_plane_logged="APISERVER" in (cluster.get("loggingConfig", "enableComponents") or ()),
        secrets_with_own_key=cluster.get("databaseEncryption", "state") == "ENCRYPTED",
        network_policy_enforced=cluster.get("datapathProvider") == "ADVANCED_DATAPATH",
        deletion_guarded=cluster.get("deletionProtection") is True,
        node_vcpus=machine.vcpus,
        node_memory_gib=machine.memory_gib,
        nodes_min=sum(int(group.get("autoscaling", "totalMinNodeCount")) for group in groups),
        nodes_max=sum(int(group.get("autoscaling", "totalMaxNodeCount")) for group in groups),
        spot_nodes_max=sum(int(group.get("autoscaling", "totalMaxNodeCount")) for group in spot),
        spot_nodes_tainted=all(
            naming.SPOT_LABEL in [taint["key"] for taint in group.get("nodeConfig", "taints") or ()] for group in spot
        ),
        nodes_private=cluster.get("privateClusterConfig", "enablePrivateNodes") is True,
        nodes_with_own_identity=all("serviceAccount" in (group.get("nodeConfig") or {}) for group in groups),
        node_metadata_guarded=all(
            group.get("nodeConfig", "workloadMetadataConfig", "mode") == "GKE_METADATA" for group in groups
        ),
        pools_scale_themselves=True,
        registry_tags_immutable=repository.get("dockerConfig", "immutableTags") is True,
        registry_scans=repository.get("vulnerabilityScanningConfig", "enablementConfig") == "INHERITED",
        registry_named_accounts_only="allUsers" not in str([one.get("member") for one in registered]),
        bucket_versioned=bucket.get("versioning", "enabled") is True,
        bucket_private=bucket.get("publicAccessPrevention") == "enforced",
        bucket_identities_only=bucket.get("uniformBucketLevelAccess") is True,
        bucket_tls_only=False,  # an organisation policy's matter: storage.secureHttpTransport
        bucket_with_own_key=bucket.get("encryption", "defaultKmsKeyName") is not None,
        workload_identity=tuple(account for one in associations for account in serving_account(one.get("member"))),
        labels=labels_of_all(registered, ("labels", "resourceLabels")),
    )
