"""What a site would export, for programs above it while its own program cannot run."""

from typing import Any

from tests.parity import mocks
from trihull_infra import naming
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment
from trihull_runtime.contract import SiteOutputs


def outputs(spec: Environment, cloud: Cloud) -> dict[str, Any]:
    needs = {
        Cloud.GCP: {"annotations.iam.gke.io/gcp-service-account": "a@b.iam.gserviceaccount.com"},
        Cloud.AZURE: {
            "annotations.azure.workload.identity/client-id": "1",
            "labels.azure.workload.identity/use": "true",
        },
    }
    agents: dict[str, dict[str, str]] = {"node-autoscaler": {}} if cloud is Cloud.AWS else {}
    return {
        "version": SiteOutputs.CURRENT,
        "environment": spec.name,
        "cloud": str(cloud),
        "region": spec.site(cloud).region,
        "residency": spec.site(cloud).residency,
        "cluster_name": naming.resource(spec.name),
        "kubernetes_version": spec.kubernetes_version,
        "kubeconfig": "apiVersion: v1",
        "registry": f"registry.{cloud}.example/models",
        "bucket": f"file:///{cloud}",
        "identities": {"serving": needs.get(cloud, {}), "router": needs.get(cloud, {}), **agents},
        "deployer": {},
        "ca_certificate": mocks.PEM,
        "router_certificate": mocks.PEM,
        "router_key": mocks.KEY,
        "serving_certificate": mocks.PEM,
        "serving_key": mocks.KEY,
        "node_pools": [],
        "overrides": [],
    }
