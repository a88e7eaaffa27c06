"""The program of one cloud's site: network, keys, logs, cluster, pools, registry, bucket, identity, certificates.

It exports SiteOutputs field by field; what stands above (serving, routing) reads nothing else of it.
"""

from typing import Any

import pulumi
import pulumi_tls as tls

from trihull_infra import program, provider, specs
from trihull_infra.certificates import Certificates
from trihull_infra.overrides import Hatch
from trihull_infra.provider import Site
from trihull_infra.spec.pools import PoolSpec
from trihull_runtime.contract import SiteOutputs


def run() -> None:
    """Register a site and export its SiteOutputs."""
    begun = program.begin()
    site = Site(begun.environment, begun.cloud, begun.folder)
    cloud = provider.load(site.cloud)
    hatch = Hatch(site.spec.changes, f"{site.environment.name}.yaml: clouds.{site.cloud}.overrides")
    hatch.open()
    opts = pulumi.ResourceOptions(providers=[cloud.connect(site)])
    network = cloud.network(site, opts)
    keys = cloud.keys(site, network, opts)
    base = provider.Base(network, keys, cloud.logs(site, network, keys, opts))
    cluster = cloud.cluster(site, base, opts)
    pools = cloud.pools(site, base, cluster, opts)
    registry = cloud.registry(site, base, pools, opts)
    bucket = cloud.bucket(site, base, opts)
    identity = cloud.identity(site, base, cluster, registry, bucket, opts)
    certificates = Certificates("certificates", site, pulumi.ResourceOptions(providers=[tls.Provider("tls")]))
    hatch.close()
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
        "deployer": dict(identity.deployer),
        "ca_certificate": certificates.bundle,
        "router_certificate": certificates.router.cert_pem,
        "router_key": pulumi.Output.secret(certificates.router_key.private_key_pem),
        "serving_certificate": certificates.serving.cert_pem,
        "serving_key": pulumi.Output.secret(certificates.serving_key.private_key_pem),
        "node_pools": [
            {
                "name": name,
                "vcpus": pool.resolved.vcpus,
                "memory_gib": pool.resolved.memory_gib,
                "accelerator": pool.resolved.accelerator.class_name if pool.resolved.accelerator else None,
                "nodes_min": pool.nodes_min,
                "nodes_max": pool.nodes_max,
                "spot_share": pool.spot_share if isinstance(pool, PoolSpec) else 0,
            }
            for name, pool in site.environment.pools.all.items()
            if specs.provisions(site.cloud)
        ],
        "overrides": hatch.told,
    }
    for name, value in exports.items():
        pulumi.export(name, value)
