"""What a site on AWS amounts to, read from what was registered."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trihull_infra.provider import PoolProperties, Properties
from trihull_infra.registered import Half, Registered, labels_of_all, of_type, pools_of, serving_account, the

CLUSTER = "aws:eks/cluster:Cluster"
GROUP = "aws:eks/nodeGroup:NodeGroup"
KEY = "aws:kms/key:Key"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
LOGS_PREFIX = "logs-"  # logical names of the log bucket's parts; what is left is the site's own bucket's


def describe(registered: Sequence[Registered]) -> Properties:
    """Say what the registered resources of a site amount to; a pure function over what a program registered."""
    cluster = the(registered, CLUSTER)
    templates = of_type(registered, TEMPLATE)
    addons = {
        one.get("addonName"): json.loads(one.get("configurationValues") or "{}")
        for one in of_type(registered, "aws:eks/addon:Addon")
    }
    of_bucket = [one for one in registered if not one.name.startswith(LOGS_PREFIX)]
    public_access = the(of_bucket, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    encryption = the(
        of_bucket, "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    ).get("rules", 0, "applyServerSideEncryptionByDefault")
    repository = the(registered, "aws:ecr/repository:Repository")
    subnets = of_type(registered, "aws:ec2/subnet:Subnet")
    associations = of_type(registered, "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    services = {str(one.get("serviceName")).split(".", 3)[-1] for one in of_type(registered, ENDPOINT)}
    serving = _objects(registered, "identity-serving-permissions")
    return Properties(
        zones=len({subnet.get("availabilityZone") for subnet in subnets}),
        nodes_private=all(subnet.get("mapPublicIpOnLaunch") is False for subnet in subnets),
        registry_reached_privately={"ecr.api", "ecr.dkr", "s3"} <= services,  # layers come from S3
        bucket_reached_privately="s3" in services,
        connections_logged=bool(of_type(registered, "aws:ec2/flowLog:FlowLog")),
        kubernetes_version=cluster.get("version") or "",
        control_plane_upgraded_in_window=False,  # EKS patches it at its own time and has no setting for it
        nodes_upgraded_in_window=_upgraded(registered),
        minor_upgrades_only_by_hand=cluster.get("version") is not None,
        api_server_networks=tuple(cluster.get("vpcConfig", "publicAccessCidrs") or ()),
        api_server_private_only=cluster.get("vpcConfig", "endpointPublicAccess") is False,
        api_server_cloud_identities_only=cluster.get("accessConfig", "authenticationMode") == "API",
        control_plane_logged="audit" in (cluster.get("enabledClusterLogTypes") or ())
        and any(_of_cluster(cluster, one) for one in of_type(registered, LOG_GROUP)),
        control_plane_guaranteed=bool(cluster.name),  # every EKS cluster has the service level agreement
        secrets_with_own_key=cluster.get("encryptionConfig", "resources") == ["secrets"]
        and cluster.get("encryptionConfig", "provider", "keyArn") is not None,
        network_policy_enforced=addons.get("vpc-cni", {}).get("enableNetworkPolicy") == "true",
        metrics_for_autoscaling="metrics-server" in addons,
        deletion_guarded=cluster.get("deletionProtection") is True,
        pools=_pools(registered),
        nodes_with_own_identity=all("nodeRoleArn" in group.inputs for group in of_type(registered, GROUP)),
        node_metadata_guarded=all(
            one.get("metadataOptions", "httpTokens") == "required"
            and one.get("metadataOptions", "httpPutResponseHopLimit") == 1
            for one in templates
        ),
        node_disks_with_own_key=all(
            disk["ebs"].get("encrypted") == "true" and disk["ebs"].get("kmsKeyId") is not None
            for one in templates
            for disk in one.get("blockDeviceMappings")
        ),
        nodes_verified_at_boot=all(
            str(group.get("amiType")).startswith("BOTTLEROCKET_") for group in of_type(registered, GROUP)
        ),
        pools_scale_themselves=_scaled(registered),
        registry_tags_immutable=repository.get("imageTagMutability") == "IMMUTABLE",
        registry_scans=repository.get("imageScanningConfiguration", "scanOnPush") is True,
        registry_named_accounts_only=True,  # ECR has no anonymous access, and no user of its own
        registry_with_own_key=repository.get("encryptionConfigurations", 0, "kmsKey") is not None,
        registry_forgets_leftovers=bool(of_type(registered, "aws:ecr/lifecyclePolicy:LifecyclePolicy")),
        registry_audited=_audited(registered, "Management"),
        bucket_versioned=the(registered, "aws:s3/bucketVersioning:BucketVersioning").get(
            "versioningConfiguration", "status"
        )
        == "Enabled",
        bucket_private=all(
            public_access.get(key) is True
            for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        ),
        bucket_identities_only=the(of_bucket, "aws:s3/bucketOwnershipControls:BucketOwnershipControls").get(
            "rule", "objectOwnership"
        )
        == "BucketOwnerEnforced",
        bucket_tls_only="aws:SecureTransport" in str(the(of_bucket, "aws:s3/bucketPolicy:BucketPolicy").get("policy")),
        bucket_with_own_key=encryption is not None and encryption.get("kmsMasterKeyId") is not None,
        bucket_forgets_old_versions=any(
            rule.get("noncurrentVersionExpiration") for rule in the(of_bucket, LIFECYCLE).get("rules") or ()
        ),
        bucket_access_logged=bool(of_type(registered, "aws:s3/bucketLogging:BucketLogging"))
        and _audited(registered, "Data"),
        keys_rotated_days=_same(
            one.get("rotationPeriodInDays") for one in of_type(registered, KEY) if one.get("enableKeyRotation")
        ),
        logs_kept_days=_logs_kept(registered),
        workload_identity=tuple(
            account for one in associations for account in serving_account(one.get("serviceAccount"))
        ),
        serving_reads_releases=any(
            action == "s3:GetObject" and "/releases/" in resource for action, resource in serving
        ),
        serving_writes_captured_data_only={
            resource.partition("/")[2] for action, resource in serving if not action.startswith(("s3:Get", "s3:List"))
        }
        == {"captured/*"},
        deployer=_deployer(registered),
        labels=labels_of_all(registered, ("tags",)),
    )


def _pools(registered: Sequence[Registered]) -> tuple[PoolProperties, ...]:
    return pools_of(
        [
            Half(
                instance_type=group.get("instanceTypes", 0),
                nodes_min=int(group.get("scalingConfig", "minSize")),
                nodes_max=int(group.get("scalingConfig", "maxSize")),
                spot=group.get("capacityType") == "SPOT",
                labels=group.get("labels") or {},
                taints=[taint["key"] for taint in group.get("taints") or ()],
            )
            for group in of_type(registered, GROUP)
        ]
    )


def _scaled(registered: Sequence[Registered]) -> bool:
    """Whether the autoscaler finds every group, and has a role to move them with."""
    found = [
        one
        for one in of_type(registered, "aws:autoscaling/tag:Tag")
        if one.get("tag", "key") == "k8s.io/cluster-autoscaler/enabled"
    ]
    accounts = of_type(registered, "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    return len(found) == len(of_type(registered, GROUP)) and any(
        str(one.get("serviceAccount")).endswith("-autoscaler") for one in accounts
    )


def _upgraded(registered: Sequence[Registered]) -> bool:
    """Whether a schedule asks for the newest image of every group, at a time of the week."""
    asked = {
        json.loads(one.get("target", "input") or "{}").get("NodegroupName")
        for one in of_type(registered, "aws:scheduler/schedule:Schedule")
        if str(one.get("target", "arn")).endswith(":eks:updateNodegroupVersion")
        and str(one.get("scheduleExpression")).startswith("cron(")
    }
    groups = {group.get("nodeGroupName") for group in of_type(registered, GROUP)}
    return bool(groups) and groups <= asked


def _of_cluster(cluster: Registered, group: Registered) -> bool:
    return group.get("name") == f"/aws/eks/{cluster.get('name')}/cluster" and group.get("retentionInDays") is not None


def _audited(registered: Sequence[Registered], category: str) -> bool:
    """Whether a trail records events of a category."""
    return any(
        field.get("equals") == [category]
        for trail in of_type(registered, "aws:cloudtrail/trail:Trail")
        for selector in trail.get("advancedEventSelectors") or ()
        for field in selector["fieldSelectors"]
    )


def _logs_kept(registered: Sequence[Registered]) -> int:
    kept = [one.get("retentionInDays") for one in of_type(registered, LOG_GROUP)]
    of_logs = [one for one in of_type(registered, LIFECYCLE) if one.name.startswith(LOGS_PREFIX)]
    return _same([*kept, *(one.get("rules", 0, "expiration", "days") for one in of_logs)])


def _same(values: Any) -> int:
    """Return the one value that all are, 0 when they differ or there is none."""
    found = set(values)
    value = found.pop() if len(found) == 1 else None
    return 0 if value is None else int(value)


def _statements(policy: Any) -> list[Mapping[str, Any]]:
    """Return a policy's statements; none of one that is not known yet."""
    try:
        return list(json.loads(policy)["Statement"])
    except (TypeError, ValueError):
        return []


def _objects(registered: Sequence[Registered], name: str) -> set[tuple[str, str]]:
    """Return what a role's policy allows, as pairs of action and resource."""
    return {
        (action, resource)
        for one in of_type(registered, ROLE_POLICY)
        if one.name == name
        for statement in _statements(one.get("policy"))
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def _deployer(registered: Sequence[Registered]) -> str | None:
    """Return the one subject of CI's tokens that a role trusts."""
    for role in of_type(registered, ROLE):
        for statement in _statements(role.get("assumeRolePolicy")):
            compared = statement.get("Condition", {}).get("StringEquals", {})
            for key, value in compared.items():
                if key.endswith(":sub"):
                    return str(value)
    return None
