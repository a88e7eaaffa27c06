"""Google Cloud: GKE, Artifact Registry, Cloud Storage, IAM. The package is a Provider (provider.py)."""

from trihull_infra.providers.gcp.connection import connect
from trihull_infra.providers.gcp.network import network

from trihull_infra.providers.gcp.cluster import cluster  # isort: skip
from trihull_infra.providers.gcp.pools import pools  # isort: skip
from trihull_infra.providers.gcp.registry import registry  # isort: skip
from trihull_infra.providers.gcp.bucket import bucket  # isort: skip
from trihull_infra.providers.gcp.identity import identity  # isort: skip
from trihull_infra.providers.gcp.dns import dns  # isort: skip
from trihull_infra.providers.gcp.describe import describe  # isort: skip

__all__ = ["bucket", "cluster", "connect", "describe", "dns", "identity", "network", "pools", "registry"]
