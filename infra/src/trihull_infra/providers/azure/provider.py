"""The functions of the Provider (provider.py) on azure, in its order; only this imports the SDK."""

from trihull_infra.providers.azure.connection import connect  # isort: skip
from trihull_infra.providers.azure.network import network  # isort: skip
from trihull_infra.providers.azure.keys import keys  # isort: skip
from trihull_infra.providers.azure.logs import logs  # isort: skip
from trihull_infra.providers.azure.cluster import cluster  # isort: skip
from trihull_infra.providers.azure.pools import pools  # isort: skip
from trihull_infra.providers.azure.registry import registry  # isort: skip
from trihull_infra.providers.azure.bucket import bucket  # isort: skip
from trihull_infra.providers.azure.identity import identity  # isort: skip
from trihull_infra.providers.azure.dns import dns  # isort: skip
from trihull_infra.providers.azure.describe import describe  # isort: skip

__all__ = [
    "bucket",
    "cluster",
    "connect",
    "describe",
    "dns",
    "identity",
    "keys",
    "logs",
    "network",
    "pools",
    "registry",
]
