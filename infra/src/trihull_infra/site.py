"""The program of one cloud's site: network, cluster, pools, registry, bucket, identity, certificates.

It exports SiteOutputs field by field; what stands above (serving, routing) reads nothing else of it.
"""

from typing import Any

import pulumi
import pulumi_tls as tls

from trihull_infra import program, provider
from trihull_infra.certificates import Certificates
from trihull_infra.provider import Site
from trihull_runtime.contract import SiteOutputs


def run() -> None:
    """Register a site and export its SiteOutputs."""
    begun = program.begin()
    site = Site(begun.environment, begun.cloud)
    cloud = provider.load(site.cloud)
    opts = pulumi.ResourceOptions(providers=[cloud.connect(site)])
    network = cloud.network(site, opts)
    cluster = cloud.cluster(site, network, opts)
    pools = cloud.pools(site, network, cluster, opts)
    registry = cloud.registry(site, network, pools, opts)
    bucket = cloud.bucket(site, network, opts)
    identity = cloud.identity(site, network, cluster, bucket, opts)
    certificates = Certificates("certificates", site, pulumi.ResourceOptions(providers=[tls.Provider("tls")]))
    pool = site.environment.pools.serving
    exports: dict[str, Any] = {
        "version": SiteOutputs.CURRENT,
        "environment": site.environment.name,
        "cloud": str(site.cloud),
        "region": site.spec.region,
        "residency": site.spec.residency,
        "cluster_name": cluster.name,
        "kubernetes_version": site.environment.kubernetes_version,
        "kubeconfig": cluster.kubeconfig,
        "registry": registry.address,
        "bucket": bucket.address,
        "identities": {purpose: dict(needs) for purpose, needs in identity.service_accounts.items()},
        "ca_certificate": certificates.ca.cert_pem,
        "router_certificate": certificates.router.cert_pem,
        "router_key": pulumi.Output.secret(certificates.router_key.private_key_pem),
        "serving_certificate": certificates.serving.cert_pem,
        "serving_key": pulumi.Output.secret(certificates.serving_key.private_key_pem),
        "node_pools": [
            {
                "name": "serving",
                "vcpus": pool.resolved.vcpus,
                "memory_gib": pool.resolved.memory_gib,
                "accelerator": None,
                "nodes_min": pool.nodes_min,
                "nodes_max": pool.nodes_max,
                "spot_share": pool.spot_share,
            }
        ],
    }
    for name, value in exports.items():
        pulumi.export(name, value)
