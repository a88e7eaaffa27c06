"""The functions of the Provider (provider.py) on aws, in its order; only this imports the SDK."""

from trihull_infra.providers.aws.connection import connect  # isort: skip
from trihull_infra.providers.aws.network import network  # isort: skip
from trihull_infra.providers.aws.keys import keys  # isort: skip
from trihull_infra.providers.aws.logs import logs  # isort: skip
from trihull_infra.providers.aws.cluster import cluster  # isort: skip
from trihull_infra.providers.aws.pools import pools  # isort: skip
from trihull_infra.providers.aws.registry import registry  # isort: skip
from trihull_infra.providers.aws.bucket import bucket  # isort: skip
from trihull_infra.providers.aws.identity import identity  # isort: skip
from trihull_infra.providers.aws.dns import dns  # isort: skip
from trihull_infra.providers.aws.describe import describe  # isort: skip

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
