"""Logs on Google Cloud: a log bucket in the region, the sink that brings the site's logs there, and what is audited.

What changes a resource is always audited. Who reads and writes objects and images (data access) is not unless a project
says so: that setting is of a whole project and a whole service, and whoever writes it writes all of it. A second
environment in the same project writes the same, and the first `destroy` ends it for both; keep one project for each.
Sources, 2026-11-24: Google Cloud, "Configure CMEK for log buckets"; hashicorp/terraform-provider-google @e03b7622a26c,
google/services/logging/resource_logging_project_bucket_config.go, google/tpgiamresource/resource_iam_audit_config.go.
"""

from typing import Final

import pulumi
from pulumi_gcp import logging, projects

from trihull_infra import provider
from trihull_infra.provider import Purpose, Site
from trihull_infra.providers.gcp.keys import lasting_name
from trihull_infra.providers.gcp.spec import GcpSpec

DATA_ACCESS: Final = ("DATA_READ", "DATA_WRITE")
AUDITED: Final = ("storage", "artifactregistry")  # an existing registry as well: the setting knows no repositories


class Logs(pulumi.ComponentResource):
    """The log bucket, the sink of the site's logs, and the audit of bucket and registry."""

    def __init__(
        self,
        name: str,
        site: Site,
        network: provider.Network,
        keys: provider.Keys,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:logs:Logs", name, None, opts)
        assert isinstance(site.spec, GcpSpec)
        key = keys.ids.get(Purpose.LOGS)
        self.bucket = logging.ProjectBucketConfig(
            f"{name}-bucket",
            project=network.scope,
            location=site.spec.region,
            bucket_id=lasting_name(site),
            description=f"Logs and audit trail of {site.name()}",
            retention_days=site.environment.retention.logs_days,
            cmek_settings=logging.ProjectBucketConfigCmekSettingsArgs(kms_key_name=key) if key is not None else None,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[network.component, *keys.grants],
                protect=site.environment.protect,
                # Another name would be another bucket; a key cannot be added or taken off later.
                ignore_changes=["bucketId", "cmekSettings"],
            ),
        )
        self.sink = logging.ProjectSink(
            f"{name}-sink",
            name=site.name(),
            description=f"Everything that {site.name()} logs",
            destination=pulumi.Output.concat("logging.googleapis.com/", self.bucket.id),
            filter=_filter(site, site.spec),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.audits = [
            projects.IAMAuditConfig(
                f"{name}-audit-{service}",
                project=network.scope,
                service=f"{service}.googleapis.com",
                audit_log_configs=[projects.IAMAuditConfigAuditLogConfigArgs(log_type=kind) for kind in DATA_ACCESS],
                opts=pulumi.ResourceOptions(parent=self, depends_on=[network.component]),
            )
            for service in AUDITED
        ]
        self.register_outputs({"destination": self.bucket.id})


def _filter(site: Site, spec: GcpSpec) -> str:
    """Return which of the project's log entries are this site's: of its cluster, network, registry, bucket and keys."""
    cluster, registry = spec.existing.cluster or site.name(), spec.existing.registry or site.name()
    network = spec.existing.network
    subnet = network.subnet if network is not None else site.name("private")
    images = f"projects/{spec.project}/locations/{spec.region}/repositories/{registry}"
    ring = f"projects/{spec.project}/locations/{spec.region}/keyRings/{lasting_name(site)}"
    return " OR ".join(
        (
            f'resource.labels.cluster_name="{cluster}"',
            f'resource.labels.subnetwork_name="{subnet}"',
            f'resource.labels.gateway_name="{site.name("nat")}"',
            f'resource.labels.bucket_name="{site.global_name}"',
            f'protoPayload.resourceName:"{images}"',
            f'protoPayload.resourceName:"{ring}"',
        )
    )


def logs(site: Site, network: provider.Network, keys: provider.Keys, opts: pulumi.ResourceOptions) -> provider.Logs:
    """Make the place where logs are kept, with its retention, and let connections be logged there."""
    made = Logs("logs", site, network, keys, opts)
    return provider.Logs(destination=made.bucket.id, component=made)
