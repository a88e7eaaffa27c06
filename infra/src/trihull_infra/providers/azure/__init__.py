"""Azure: AKS, Container Registry, Blob Storage, managed identities. The package is a Provider (provider.py)."""

from trihull_infra.providers.azure.connection import connect
from trihull_infra.providers.azure.network import network

from trihull_infra.providers.azure.cluster import cluster  # isort: skip
from trihull_infra.providers.azure.pools import pools  # isort: skip
from trihull_infra.providers.azure.registry import registry  # isort: skip
from trihull_infra.providers.azure.bucket import bucket  # isort: skip
from trihull_infra.providers.azure.identity import identity  # isort: skip
from trihull_infra.providers.azure.dns import dns  # isort: skip
from trihull_infra.providers.azure.describe import describe  # isort: skip

__all__ = ["bucket", "cluster", "connect", "describe", "dns", "identity", "network", "pools", "registry"]
