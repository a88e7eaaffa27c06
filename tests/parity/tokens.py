"""The types by which the clouds call the same things, for tests that look at one of them on every cloud."""

from trihull_infra.cloud import Cloud

PROVISIONED = (Cloud.AWS, Cloud.GCP, Cloud.AZURE)  # clouds on which trihull makes what a site stands on
POOLS = {
    Cloud.AWS: "aws:eks/nodeGroup:NodeGroup",
    Cloud.GCP: "gcp:container/nodePool:NodePool",
    Cloud.AZURE: "azure-native:containerservice:AgentPool",
}
CLUSTERS = {
    Cloud.AWS: "aws:eks/cluster:Cluster",
    Cloud.GCP: "gcp:container/cluster:Cluster",
    Cloud.AZURE: "azure-native:containerservice:ManagedCluster",
}
BUCKETS = {
    Cloud.AWS: "aws:s3/bucket:Bucket",
    Cloud.GCP: "gcp:storage/bucket:Bucket",
    Cloud.AZURE: "azure-native:storage:StorageAccount",
}
REGISTRIES = {
    Cloud.AWS: "aws:ecr/repository:Repository",
    Cloud.GCP: "gcp:artifactregistry/repository:Repository",
    Cloud.AZURE: "azure-native:containerregistry:Registry",
}
KEYS = {
    Cloud.AWS: "aws:kms/key:Key",
    Cloud.GCP: "gcp:kms/cryptoKey:CryptoKey",
    Cloud.AZURE: "azure-native:keyvault:Key",
}
