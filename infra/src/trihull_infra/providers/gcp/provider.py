"""The functions of the Provider (provider.py) on gcp, in its order; only this imports the SDK."""

from trihull_infra.providers.gcp.connection import connect  # isort: skip
from trihull_infra.providers.gcp.network import network  # isort: skip
from trihull_infra.providers.gcp.keys import keys  # isort: skip
from trihull_infra.providers.gcp.logs import logs  # isort: skip
from trihull_infra.providers.gcp.cluster import cluster  # isort: skip
from trihull_infra.providers.gcp.pools import pools  # isort: skip
from trihull_infra.providers.gcp.registry import registry  # isort: skip
from trihull_infra.providers.gcp.bucket import bucket  # isort: skip
from trihull_infra.providers.gcp.identity import identity  # isort: skip
from trihull_infra.providers.gcp.dns import dns  # isort: skip
from trihull_infra.providers.gcp.describe import describe  # isort: skip

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
