"""What a site on AWS amounts to, read from what was registered."""

import json
from collections.abc import Sequence

from trihull_infra import naming
from trihull_infra.provider import Properties
from trihull_infra.registered import Registered, labels_of_all, machine_of, of_type, serving_account, the


def describe(registered: Sequence[Registered]) -> Properties:
    """Say what the registered resources of a site amount to; a pure function over what a program registered."""
    cluster = the(registered, "aws:eks/cluster:Cluster")
    groups = of_type(registered, "aws:eks/nodeGroup:NodeGroup")
    spot = [group for group in groups if group.get("capacityType") == "SPOT"]
    template = the(registered, "aws:ec2/launchTemplate:LaunchTemplate")
    machine = machine_of(groups[0].get("instanceTypes", 0))
    addons = {
        one.get("addonName"): json.loads(one.get("configurationValues") or "{}")
        for one in of_type(registered, "aws:eks/addon:Addon")
    }
    public_access = the(registered, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    encryption = the(
        registered, "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    ).get("rules", 0, "applyServerSideEncryptionByDefault")
    repository = the(registered, "aws:ecr/repository:Repository")
    subnets = of_type(registered, "aws:ec2/subnet:Subnet")
    associations = of_type(registered, "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    return Properties(
        zones=len({subnet.get("availabilityZone") for subnet in subnets}),
        kubernetes_version=cluster.get("version"),
        api_server_networks=tuple(cluster.get("vpcConfig", "publicAccessCidrs") or ()),
        api_server_private_only=cluster.get("vpcConfig", "endpointPublicAccess") is False,
        api_server_cloud_identities_only=cluster.get("accessConfig", "authenticationMode") == "API",
        control_plane_logged="audit" in (cluster.get("enabledClusterLogTypes") or ())
        and the(registered, "aws:cloudwatch/logGroup:LogGroup").get("retentionInDays") is not None,
        secrets_with_own_key=cluster.get("encryptionConfig", "resources") == ["secrets"],
        network_policy_enforced=addons.get("vpc-cni", {}).get("enableNetworkPolicy") == "true",
        deletion_guarded=cluster.get("deletionProtection") is True,
        node_vcpus=machine.vcpus,
        node_memory_gib=machine.memory_gib,
        nodes_min=sum(int(group.get("scalingConfig", "minSize")) for group in groups),
        nodes_max=sum(int(group.get("scalingConfig", "maxSize")) for group in groups),
        spot_nodes_max=sum(int(group.get("scalingConfig", "maxSize")) for group in spot),
        spot_nodes_tainted=all(
            naming.SPOT_LABEL in [taint["key"] for taint in group.get("taints") or ()] for group in spot
        ),
        nodes_private=all(subnet.get("mapPublicIpOnLaunch") is False for subnet in subnets),
        nodes_with_own_identity=all("nodeRoleArn" in group.inputs for group in groups),
        node_metadata_guarded=template.get("metadataOptions", "httpTokens") == "required"
        and template.get("metadataOptions", "httpPutResponseHopLimit") == 1,
        pools_scale_themselves=False,
        registry_tags_immutable=repository.get("imageTagMutability") == "IMMUTABLE",
        registry_scans=repository.get("imageScanningConfiguration", "scanOnPush") is True,
        registry_named_accounts_only=True,  # ECR has no anonymous access, and no user of its own
        bucket_versioned=the(registered, "aws:s3/bucketVersioning:BucketVersioning").get(
            "versioningConfiguration", "status"
        )
        == "Enabled",
        bucket_private=all(
            public_access.get(key) is True
            for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        ),
        bucket_identities_only=the(registered, "aws:s3/bucketOwnershipControls:BucketOwnershipControls").get(
            "rule", "objectOwnership"
        )
        == "BucketOwnerEnforced",
        bucket_tls_only=bool(of_type(registered, "aws:s3/bucketPolicy:BucketPolicy")),
        bucket_with_own_key=encryption is not None and encryption.get("sseAlgorithm") == "aws:kms",
        workload_identity=tuple(
            account for one in associations for account in serving_account(one.get("serviceAccount"))
        ),
        labels=labels_of_all(registered, ("tags",)),
    )
