"""What a site on Google Cloud amounts to, read from what was registered."""

import json
from collections.abc import Sequence

from trihull_infra.provider import Properties
from trihull_infra.providers.gcp.identity import ACT_AS, ADD, READ, SUBJECT_IS
from trihull_infra.registered import Half, Registered, labels_of_all, of_type, pools_of, serving_account, the

NODES_BY_HAND = "NO_MINOR_OR_NODE_UPGRADES"
MINOR_BY_HAND = ("NO_MINOR_UPGRADES", NODES_BY_HAND)


def describe(registered: Sequence[Registered]) -> Properties:
    """Say what the registered resources of a site amount to; a pure function over what a program registered."""
    cluster = the(registered, "gcp:container/cluster:Cluster")
    pools = of_type(registered, "gcp:container/nodePool:NodePool")
    subnet = the(registered, "gcp:compute/subnetwork:Subnetwork")
    repository = the(registered, "gcp:artifactregistry/repository:Repository")
    bucket = the(registered, "gcp:storage/bucket:Bucket")
    domains = {one.get("dnsName") for one in of_type(registered, "gcp:dns/managedZone:ManagedZone")}
    private = subnet.get("privateIpGoogleAccess") is True
    audited = {one.get("service") for one in of_type(registered, "gcp:projects/iAMAuditConfig:IAMAuditConfig")}
    apis = {one.get("service") for one in of_type(registered, "gcp:projects/service:Service")}
    window = cluster.get("maintenancePolicy", "recurringWindow", "recurrence")
    exclusion = cluster.get("maintenancePolicy", "maintenanceExclusions", 0, "exclusionOptions", "scope")
    return Properties(
        zones=len(cluster.get("nodeLocations") or ()),
        nodes_private=all(one.get("networkConfig", "enablePrivateNodes") is True for one in pools),
        registry_reached_privately=private and "pkg.dev." in domains,
        bucket_reached_privately=private and "googleapis.com." in domains,
        connections_logged=subnet.get("logConfig") is not None,
        kubernetes_version=str(cluster.get("minMasterVersion") or ""),
        control_plane_upgraded_in_window=isinstance(window, str),
        nodes_upgraded_in_window=isinstance(window, str) and exclusion != NODES_BY_HAND,
        minor_upgrades_only_by_hand=exclusion in MINOR_BY_HAND,
        api_server_networks=tuple(
            block["cidrBlock"] for block in cluster.get("masterAuthorizedNetworksConfig", "cidrBlocks") or ()
        ),
        # Of addresses. A DNS endpoint, where the environment wants it, lets in by IAM alone, from anywhere.
        api_server_private_only=cluster.get("privateClusterConfig", "enablePrivateEndpoint") is True,
        api_server_cloud_identities_only=cluster.get("enableLegacyAbac") is False
        and cluster.get("masterAuth", "clientCertificateConfig", "issueClientCertificate") is False,
        control_plane_logged="APISERVER" in (cluster.get("loggingConfig", "enableComponents") or ()),
        control_plane_guaranteed=str(cluster.get("location") or "").count("-") == 1,  # a region, not one of its zones
        secrets_with_own_key=cluster.get("databaseEncryption", "state") == "ENCRYPTED",
        network_policy_enforced=cluster.get("datapathProvider") == "ADVANCED_DATAPATH",
        metrics_for_autoscaling=bool(cluster.inputs),  # GKE brings its metrics-server
        deletion_guarded=cluster.get("deletionProtection") is True,
        pools=pools_of([_half(one) for one in pools]),
        nodes_with_own_identity=all("serviceAccount" in (one.get("nodeConfig") or {}) for one in pools),
        node_metadata_guarded=all(
            one.get("nodeConfig", "workloadMetadataConfig", "mode") == "GKE_METADATA" for one in pools
        ),
        node_disks_with_own_key=all(one.get("nodeConfig", "bootDiskKmsKey") is not None for one in pools),
        nodes_verified_at_boot=all(
            one.get("nodeConfig", "shieldedInstanceConfig", "enableSecureBoot") is True for one in pools
        ),
        pools_scale_themselves=all("totalMaxNodeCount" in (one.get("autoscaling") or {}) for one in pools),
        registry_tags_immutable=repository.get("dockerConfig", "immutableTags") is True,
        registry_scans=repository.get("vulnerabilityScanningConfig", "enablementConfig") == "INHERITED"
        and "containerscanning.googleapis.com" in apis,
        registry_named_accounts_only="allUsers" not in str([one.get("member") for one in registered]),
        registry_with_own_key=repository.get("kmsKeyName") is not None,
        registry_forgets_leftovers=repository.get("cleanupPolicies", 0, "condition", "tagState") == "UNTAGGED",
        registry_audited="artifactregistry.googleapis.com" in audited,
        bucket_versioned=bucket.get("versioning", "enabled") is True,
        bucket_private=bucket.get("publicAccessPrevention") == "enforced",
        bucket_identities_only=bucket.get("uniformBucketLevelAccess") is True,
        bucket_tls_only=False,  # an organisation policy's matter: storage.secureHttpTransport
        bucket_with_own_key=bucket.get("encryption", "defaultKmsKeyName") is not None,
        bucket_forgets_old_versions=any(
            rule["condition"].get("withState") == "ARCHIVED" for rule in bucket.get("lifecycleRules") or ()
        ),
        bucket_access_logged="storage.googleapis.com" in audited,
        keys_rotated_days=_rotated_days(registered),
        logs_kept_days=int(
            the(registered, "gcp:logging/projectBucketConfig:ProjectBucketConfig").get("retentionDays") or 0
        ),
        workload_identity=tuple(
            account
            for one in of_type(registered, "gcp:serviceaccount/iAMMember:IAMMember")
            if one.get("role") == ACT_AS
            for account in serving_account(one.get("member"))
        ),
        serving_reads_releases=_only_below(registered, READ, "releases/"),
        serving_writes_captured_data_only=_only_below(registered, ADD, "captured/"),
        deployer=_deployer(registered),
        labels=labels_of_all(registered, ("labels", "resourceLabels")),
    )


def _half(pool: Registered) -> Half:
    return Half(
        instance_type=pool.get("nodeConfig", "machineType"),
        nodes_min=int(pool.get("autoscaling", "totalMinNodeCount")),
        nodes_max=int(pool.get("autoscaling", "totalMaxNodeCount")),
        spot=pool.get("nodeConfig", "spot") is True,
        labels=pool.get("nodeConfig", "labels") or {},
        taints=[taint["key"] for taint in pool.get("nodeConfig", "taints") or ()],
    )


def _rotated_days(registered: Sequence[Registered]) -> int:
    """Return after how many days the last of the keys is rotated; 0 where none is ours or one is not rotated."""
    periods = [one.get("rotationPeriod") for one in of_type(registered, "gcp:kms/cryptoKey:CryptoKey")]
    return max((int(str(period or "0s").removesuffix("s")) // 86400 for period in periods), default=0)


def _only_below(registered: Sequence[Registered], role: str, prefix: str) -> bool:
    """Whether a role is given on the bucket, wherever it is for objects below a prefix alone, and none for all."""
    grants = of_type(registered, "gcp:storage/bucketIAMMember:BucketIAMMember")
    below = {one.name: str(one.get("condition", "expression")) for one in grants}
    wanted = [below[one.name] for one in grants if one.get("role") == role]
    return (
        bool(wanted)
        and all(f'/objects/{prefix}")' in condition for condition in wanted)
        and all("/objects/" in condition for condition in below.values())
    )


def _deployer(registered: Sequence[Registered]) -> str | None:
    condition = the(registered, "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider").get(
        "attributeCondition"
    )
    return str(json.loads(condition.removeprefix(SUBJECT_IS))) if isinstance(condition, str) else None
