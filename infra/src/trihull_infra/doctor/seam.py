"""What every cloud's doctor can be asked: the functions of `aws.py`, `gcp.py`, `azure.py` and `kubernetes.py`."""

import base64
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from trihull_infra import naming
from trihull_infra.cloud import Cloud
from trihull_infra.doctor.findings import Finding
from trihull_infra.environment import Environment
from trihull_infra.spec.sites import SiteSpec

CONNECT_S: Final = 5.0
READ_S: Final = 15.0


@dataclass(frozen=True)
class Asked:
    """A site of an environment, before or after it is made; `folder` is that of the environment's file."""

    environment: Environment
    cloud: Cloud
    folder: Path

    @property
    def spec(self) -> SiteSpec:
        """Return what the environment asks of this cloud."""
        return self.environment.site(self.cloud)

    @property
    def name(self) -> str:
        """Return what the site's network and cluster are called when they are ours."""
        return naming.resource(self.environment.name)


@dataclass(frozen=True)
class ApiServer:
    """Where a cluster's API server answers; `ca_pem` is None where the cloud does not say who signed for it."""

    host: str
    port: int
    ca_pem: str | None


def pem(encoded: str | None) -> str | None:
    """Return the certificate in base64 that clouds give out; None when there is none to be read."""
    try:
        found = base64.b64decode(encoded or "").decode("ascii")
    except ValueError:
        return None
    return found if "BEGIN CERTIFICATE" in found else None


class Doctor(Protocol):
    """A cloud's answers. They raise what its SDK raises; `problem` says it in our words."""

    def host(self, asked: Asked) -> str:
        """Return the URL of the cloud's API that answers anybody, if only that it wants credentials."""

    def credentials(self, asked: Asked) -> Sequence[Finding]:
        """Say whose credentials are found, and whether they are for the environment's account."""

    def apis(self, asked: Asked) -> Sequence[Finding]:
        """Say whether the services that a site is made of are on in this account and region."""

    def quotas(self, asked: Asked) -> Sequence[Finding]:
        """Say for vCPUs, accelerators, addresses and gateways whether there is room for what is asked for."""

    def offers(self, asked: Asked) -> Sequence[Finding]:
        """Say whether the instance types are to be had in the zones."""

    def versions(self, asked: Asked) -> Sequence[Finding]:
        """Say whether the Kubernetes version is still supported."""

    def cluster(self, asked: Asked) -> ApiServer | None:
        """Return where the site's API server answers; None when there is no cluster yet."""

    def problem(self, error: Exception) -> Finding:
        """Say what an error of the cloud's SDK means and what to do."""


def load(cloud: Cloud) -> Doctor:
    """Import a cloud's doctor, and with it the SDK of that cloud alone.

    Raises:
        ImportError: the SDK is not installed.
    """
    return cast(Doctor, importlib.import_module(f"trihull_infra.doctor.{cloud}"))


if TYPE_CHECKING:
    from trihull_infra.doctor import aws, azure, gcp, kubernetes

    _CONFORMING: tuple[Doctor, ...] = (aws, gcp, azure, kubernetes)
