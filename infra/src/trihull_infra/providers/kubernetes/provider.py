"""The functions of the Provider (provider.py) on kubernetes, in its order; only this imports the SDK."""

from trihull_infra.providers.kubernetes.connection import connect  # isort: skip
from trihull_infra.providers.kubernetes.network import network  # isort: skip
from trihull_infra.providers.kubernetes.keys import keys  # isort: skip
from trihull_infra.providers.kubernetes.logs import logs  # isort: skip
from trihull_infra.providers.kubernetes.cluster import cluster  # isort: skip
from trihull_infra.providers.kubernetes.pools import pools  # isort: skip
from trihull_infra.providers.kubernetes.registry import registry  # isort: skip
from trihull_infra.providers.kubernetes.bucket import bucket  # isort: skip
from trihull_infra.providers.kubernetes.identity import identity  # isort: skip
from trihull_infra.providers.kubernetes.dns import dns  # isort: skip
from trihull_infra.providers.kubernetes.describe import describe  # isort: skip

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
