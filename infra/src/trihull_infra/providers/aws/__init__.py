"""AWS: EKS, ECR, S3, IAM. The package is a Provider (provider.py)."""

from trihull_infra.providers.aws.connection import connect
from trihull_infra.providers.aws.network import network

from trihull_infra.providers.aws.cluster import cluster  # isort: skip
from trihull_infra.providers.aws.pools import pools  # isort: skip
from trihull_infra.providers.aws.registry import registry  # isort: skip
from trihull_infra.providers.aws.bucket import bucket  # isort: skip
from trihull_infra.providers.aws.identity import identity  # isort: skip
from trihull_infra.providers.aws.dns import dns  # isort: skip
from trihull_infra.providers.aws.describe import describe  # isort: skip

__all__ = ["bucket", "cluster", "connect", "describe", "dns", "identity", "network", "pools", "registry"]
