"""Small programs on the real SDKs; operation.py runs them by name. Those of clouds are as alike as the clouds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi

from tests.emulated.inside import agents as agents
from tests.emulated.inside import workloads as workloads

ACCOUNT, PROJECT, SUBSCRIPTION = "123456789012", "trihull-local", "00000000-0000-0000-0000-000000000000"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


Options = Mapping[str, Any]  # what a test changes between two deployments: tags, bucket, ...


def aws_site(options: Options) -> None:
    import pulumi_aws as aws
    from pulumi_aws import cloudwatch, ec2, ecr, eks, iam, kms, s3

    provider = aws.Provider("aws", region="eu-central-1", allowed_account_ids=[ACCOUNT])
    opts = pulumi.ResourceOptions(provider=provider)
    vpc = ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts)
    subnet = ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.1.0/24", opts=opts)
    key = kms.Key("key", enable_key_rotation=True, deletion_window_in_days=7, opts=opts)
    kms.Alias("alias", name="alias/one", target_key_id=key.key_id, opts=opts)
    bucket = s3.Bucket("bucket", bucket=options["bucket"], tags=options.get("tags", {}), force_destroy=True, opts=opts)
    s3.BucketVersioning("versioning", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=opts)
    if options.get("parts", True):
        rules: Any = [
            {"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn}}
        ]
        s3.BucketServerSideEncryptionConfiguration("encryption", bucket=bucket.bucket, rules=rules, opts=opts)
        s3.BucketPublicAccessBlock("block", bucket=bucket.bucket, block_public_acls=True, opts=opts)
        s3.BucketOwnershipControls(
            "ownership", bucket=bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=opts
        )
        lifecycle: Any = [
            {
                "id": "old",
                "status": "Enabled",
                "noncurrent_version_expiration": {"noncurrent_days": 30},
                "filter": {"prefix": ""},
            }
        ]
        s3.BucketLifecycleConfiguration("lifecycle", bucket=bucket.bucket, rules=lifecycle, opts=opts)
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        s3.BucketPolicy("policy", bucket=bucket.bucket, policy=policy, opts=opts)
    repository = ecr.Repository("images", image_tag_mutability="IMMUTABLE", force_delete=True, opts=opts)
    rule = {
        "rulePriority": 1,
        "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 9},
    }
    text = json.dumps({"rules": [{**rule, "action": {"type": "expire"}}]})
    ecr.LifecyclePolicy("images", repository=repository.name, policy=text, opts=opts)
    role = iam.Role("role", assume_role_policy=TRUST, opts=opts)
    attached = iam.RolePolicyAttachment(
        "attached", role=role.name, policy_arn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy", opts=opts
    )
    allowed = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    )
    iam.RolePolicy("inline", role=role.name, policy=allowed, opts=opts)
    cloudwatch.LogGroup("logs", name="/aws/eks/one/cluster", retention_in_days=7, opts=opts)
    cluster = eks.Cluster(
        "cluster",
        name="one",
        role_arn=role.arn,
        vpc_config={"subnet_ids": [subnet.id]},
        opts=pulumi.ResourceOptions(provider=provider, depends_on=[attached]),
    )
    eks.NodeGroup(
        "nodes",
        cluster_name=cluster.name,
        node_role_arn=role.arn,
        subnet_ids=[subnet.id],
        scaling_config={"min_size": 1, "max_size": 3, "desired_size": 1},
        opts=opts,
    )
    caller = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(provider=provider))
    pulumi.export("account", caller.account_id)
    pulumi.export("bucket", bucket.bucket)
    pulumi.export("server", cluster.endpoint)
    pulumi.export("ca", cluster.certificate_authority.data)
    pulumi.export("registry", repository.repository_url)


def gcp_site(options: Options) -> None:
    import pulumi_gcp as gcp

    provider = gcp.Provider("gcp", project=PROJECT, region="europe-west4")
    opts = pulumi.ResourceOptions(provider=provider)
    network = gcp.compute.Network("network", auto_create_subnetworks=False, opts=opts)
    cluster = gcp.container.Cluster(
        "cluster",
        name="one",
        location="europe-west4",
        initial_node_count=1,
        remove_default_node_pool=True,
        deletion_protection=False,
        network=network.id,
        resource_labels=options.get("tags", {}),
        opts=opts,
    )
    gcp.container.NodePool("nodes", cluster=cluster.name, location=cluster.location, opts=opts)
    repository = gcp.artifactregistry.Repository(
        "images", format="DOCKER", repository_id="images", location="europe-west4", opts=opts
    )
    bucket = gcp.storage.Bucket(
        "bucket", name=options["bucket"], location="EU", labels=options.get("tags", {}), opts=opts
    )
    account = gcp.serviceaccount.Account("serving", account_id="serving", opts=opts)
    member = pulumi.Output.concat("serviceAccount:", account.email)
    gcp.storage.BucketIAMMember(
        "reads", bucket=bucket.name, role="roles/storage.objectViewer", member=member, opts=opts
    )
    pulumi.export("bucket", bucket.name)
    pulumi.export("server", pulumi.Output.concat("https://", cluster.endpoint))
    pulumi.export("ca", cluster.master_auth.cluster_ca_certificate)
    pulumi.export("registry", repository.registry_uri)
    pulumi.export(
        "account", gcp.organizations.get_project_output(opts=pulumi.InvokeOptions(provider=provider)).project_id
    )


def azure_site(options: Options) -> None:
    import pulumi_azure_native as azure

    provider = azure.Provider("azure", subscription_id=SUBSCRIPTION, location="westeurope")
    opts = pulumi.ResourceOptions(provider=provider)
    group = azure.resources.ResourceGroup("group", opts=opts)
    identity = azure.managedidentity.UserAssignedIdentity("identity", resource_group_name=group.name, opts=opts)
    own: Any = {"type": "UserAssigned", "user_assigned_identities": [identity.id]}
    pool: Any = [{"name": "system", "mode": "System", "count": 1, "vm_size": "Standard_D2s_v5"}]
    cluster = azure.containerservice.ManagedCluster(
        "cluster",
        resource_group_name=group.name,
        resource_name_="one",
        dns_prefix="one",
        identity=own,
        oidc_issuer_profile={"enabled": True},
        agent_pool_profiles=pool,
        tags=options.get("tags", {}),
        opts=opts,
    )
    azure.containerservice.AgentPool(
        "serving",
        resource_group_name=group.name,
        resource_name_=cluster.name,
        vm_size="Standard_D2s_v5",
        count=2,
        opts=opts,
    )
    azure.managedidentity.FederatedIdentityCredential(
        "federated",
        resource_group_name=group.name,
        resource_name_=identity.name,
        issuer=cluster.oidc_issuer_profile.apply(lambda profile: profile.issuer_url if profile else ""),
        subject="system:serviceaccount:trihull:trihull-serving",
        audiences=["api://AzureADTokenExchange"],
        opts=opts,
    )
    registry = azure.containerregistry.Registry(
        "images", resource_group_name=group.name, sku={"name": "Premium"}, opts=opts
    )
    account = azure.storage.StorageAccount(
        "account",
        resource_group_name=group.name,
        kind="StorageV2",
        sku={"name": "Standard_LRS"},
        tags=options.get("tags", {}),
        opts=opts,
    )
    container = azure.storage.BlobContainer(
        "container",
        resource_group_name=group.name,
        account_name=account.name,
        container_name=options["bucket"],
        opts=opts,
    )
    credentials = azure.containerservice.list_managed_cluster_user_credentials_output(
        resource_group_name=group.name, resource_name=cluster.name, opts=pulumi.InvokeOptions(provider=provider)
    )
    pulumi.export("bucket", container.name)
    pulumi.export("server", pulumi.Output.concat("https://", cluster.fqdn))
    pulumi.export("kubeconfig", pulumi.Output.secret(credentials.kubeconfigs[0].value))
    pulumi.export("registry", registry.login_server)
    pulumi.export("principal", identity.principal_id)


def aws_of_another_account(options: Options) -> None:
    import pulumi_aws as aws

    provider = aws.Provider("aws", region="eu-central-1", allowed_account_ids=["111111111111"])
    aws.s3.Bucket("bucket", opts=pulumi.ResourceOptions(provider=provider))


def aws_of_any_account(options: Options) -> None:
    import pulumi_aws as aws

    provider = aws.Provider("aws", region="eu-central-1")
    aws.s3.Bucket("bucket", opts=pulumi.ResourceOptions(provider=provider))


def gcp_of_another_project(options: Options) -> None:
    import pulumi_gcp as gcp

    provider = gcp.Provider("gcp", project="production", region="europe-west4")
    gcp.storage.Bucket("bucket", location="EU", opts=pulumi.ResourceOptions(provider=provider))


def azure_of_another_subscription(options: Options) -> None:
    import pulumi_azure_native as azure

    provider = azure.Provider("azure", subscription_id="11111111-1111-1111-1111-111111111111")
    azure.resources.ResourceGroup("group", opts=pulumi.ResourceOptions(provider=provider))


def kubernetes_of_another_cluster(options: Options) -> None:
    import pulumi_kubernetes as kubernetes

    document: dict[str, Any] = {"clusters": [{"name": "c", "cluster": {"server": "https://203.0.113.9"}}]}
    provider = kubernetes.Provider("kubernetes", kubeconfig=json.dumps(document))
    kubernetes.core.v1.Namespace("namespace", opts=pulumi.ResourceOptions(provider=provider))


def kubernetes_of_this_machine(options: Options) -> None:
    import pulumi_kubernetes as kubernetes

    provider = kubernetes.Provider("kubernetes")
    kubernetes.core.v1.Namespace("namespace", opts=pulumi.ResourceOptions(provider=provider))


def attachment_to_nobody(options: Options) -> None:
    import pulumi_aws as aws

    provider = aws.Provider("aws", region="eu-central-1", allowed_account_ids=[ACCOUNT])
    policy = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
    opts = pulumi.ResourceOptions(provider=provider)
    aws.iam.RolePolicyAttachment("attached", role="nobody", policy_arn=policy, opts=opts)


def repository(options: Options) -> None:
    import pulumi_aws as aws

    provider = aws.Provider("aws", region="eu-central-1", allowed_account_ids=[ACCOUNT])
    opts = pulumi.ResourceOptions(provider=provider)
    made = aws.ecr.Repository("images", name="a/images", force_delete=options["force"], opts=opts)
    pulumi.export("registry", made.repository_url)


def bucket_of_google(options: Options) -> None:
    import pulumi_gcp as gcp

    provider = gcp.Provider("gcp", project=PROJECT, region="europe-west4")
    gcp.storage.Bucket("bucket", name=options["bucket"], location="EU", opts=pulumi.ResourceOptions(provider=provider))


def bucket_with_a_typo(options: Options) -> None:
    import pulumi_gcp as gcp

    provider = gcp.Provider("gcp", project=PROJECT, region="europe-west4")
    rules: Any = [{"action": {"typo": "Delete"}, "condition": {"age": 1}}]
    gcp.storage.Bucket("bucket", location="EU", lifecycle_rules=rules, opts=pulumi.ResourceOptions(provider=provider))


def certificates(options: Options) -> None:
    import pulumi_tls as tls

    key = tls.PrivateKey("ca", algorithm="ECDSA", ecdsa_curve="P256")
    authority = tls.SelfSignedCert(
        "ca",
        private_key_pem=key.private_key_pem,
        is_ca_certificate=True,
        allowed_uses=["cert_signing"],
        subject={"common_name": "authority"},
        validity_period_hours=options["hours"],
    )
    request = tls.CertRequest("leaf", private_key_pem=key.private_key_pem, dns_names=["a.internal"])
    leaf = tls.LocallySignedCert(
        "leaf",
        cert_request_pem=request.cert_request_pem,
        ca_private_key_pem=key.private_key_pem,
        ca_cert_pem=authority.cert_pem,
        allowed_uses=["server_auth"],
        validity_period_hours=10,
    )
    pulumi.export("ca", authority.cert_pem)
    pulumi.export("leaf", leaf.cert_pem)
    pulumi.export("key", key.private_key_pem)


def environment_name(options: Options) -> None:
    """Register the name of the environment that lies in a folder, as stacks/dns does, with the real providers."""
    from trihull_infra import dns, environment, provider
    from trihull_infra.deploy.context import Documents

    folder = Path(options["environments"])
    loaded = environment.load("local", folder)
    assert loaded.dns is not None
    site, cloud = provider.Site(loaded, loaded.dns.cloud), provider.load(loaded.dns.cloud)
    routers = dns.known(loaded, Documents(folder, "local"))
    made = cloud.dns(site, loaded.dns, routers, pulumi.ResourceOptions(providers=[cloud.connect(site)]))
    pulumi.export("checks", {str(name): check for name, check in made.checks.items()})
