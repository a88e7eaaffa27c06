"""What the emulated clouds are called: the one environment that they serve, and the accounts that they have.

Neither side can touch the other's: an environment file that names another account in `local` is refused when it is
read, and an emulated plugin refuses it again (emulators/guards.py).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trihull_infra.cloud import Cloud

ENVIRONMENT: Final = "local"  # its stacks are called so (dns, one for all clouds) or `local-<cloud>`
ACCOUNTS: Final[Mapping[Cloud, str]] = MappingProxyType(
    {
        Cloud.AWS: "123456789012",  # moto's default account
        Cloud.GCP: "trihull-local",
        Cloud.AZURE: "00000000-0000-0000-0000-000000000000",
    }
)
