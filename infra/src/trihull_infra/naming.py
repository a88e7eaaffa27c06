"""Names of what a site registers: each follows from environment and cloud, within the narrowest limit of any cloud.

A name that follows can be found again after a crash (the id of a half-made resource is known), and is never random.
Limits: storage account 3-24 of [a-z0-9], bucket 3-63, service account id 6-30, AKS node pool 1-12 of [a-z0-9],
registry 5-50 of [a-z0-9]. An environment's name has at most 12 characters (environment.py).
"""

import hashlib
from typing import Final

from trihull_infra.cloud import Cloud

APPLICATION: Final = "trihull"
NAMESPACE: Final = "trihull"
SERVING: Final = "trihull-serving"  # ServiceAccount, Deployment and Service
ROUTER: Final = "trihull-router"
ROUTER_ADMIN_PORT: Final = 8083  # of the router's pod, on its loopback address alone
NODE_AUTOSCALER: Final = "trihull-node-autoscaler"  # in namespace kube-system
DEVICE_PLUGIN: Final = "trihull-device-plugin"
ACCELERATORS: Final = "trihull-accelerators"  # the namespace of the device plugin, and of nothing else
SYSTEM: Final = "kube-system"
SYSTEM_POOL: Final = "system"
POOL: Final = "serving"
ACCELERATOR_POOL: Final = "accelerator"
IMAGES: Final = "images"  # the one repository of a site: images are told apart by digest
POOL_LABEL: Final = "trihull.internal/pool"
SPOT_LABEL: Final = "trihull.internal/spot"  # label and taint of spot nodes, the same on every cloud
ACCELERATOR_LABEL: Final = "trihull.internal/accelerator"  # label and taint of nodes with one; value: the class

MONITORING_LABEL: Final = "trihull.internal/monitoring"  # "true" on a namespace: its pods may read metrics


def resource(environment: str, *parts: str) -> str:
    """Return `trihull-<environment>[-<part>...]`: cluster, network, roles; at most 30 characters with one part of 9."""
    return "-".join((APPLICATION, environment, *parts))


def globally_unique(environment: str, cloud: Cloud, account: str) -> str:
    """Return a name for what all customers of a cloud share one name space for; 14-24 of [a-z0-9].

    Five hexadecimal digits come from cloud and account, so two accounts may have an environment of the same name.
    """
    return f"{APPLICATION}{environment}{hashlib.sha256(f'{cloud}/{account}'.encode()).hexdigest()[:5]}"


def server_name(environment: str, cloud: Cloud) -> str:
    """Return the DNS name that a site's serving certificate carries; it is checked, never looked up."""
    return f"serving.{cloud}.{environment}.trihull.internal"


def pool(name: str, *, spot: bool) -> str:
    """Return what a pool, or its spot half, is called on a cloud: at most 12 of [a-z] (AKS)."""
    return f"{name[:8]}spot" if spot else name[:12]
