"""What is known of a site on a cluster that is there already: that it serves, and nothing of what it stands on."""

from collections.abc import Sequence

from trihull_infra.provider import Properties
from trihull_infra.registered import Registered


def describe(registered: Sequence[Registered]) -> Properties:
    """Say nothing of what trihull did not make: unknown counts as absent, and all of it is a declared difference."""
    return Properties(
        zones=0,
        nodes_private=False,
        registry_reached_privately=False,
        bucket_reached_privately=False,
        connections_logged=False,
        kubernetes_version="",
        control_plane_upgraded_in_window=False,
        nodes_upgraded_in_window=False,
        minor_upgrades_only_by_hand=False,
        api_server_networks=(),
        api_server_private_only=False,
        api_server_cloud_identities_only=False,
        control_plane_logged=False,
        control_plane_guaranteed=False,
        secrets_with_own_key=False,
        network_policy_enforced=False,
        metrics_for_autoscaling=False,
        deletion_guarded=False,
        pools=(),
        nodes_with_own_identity=False,
        node_metadata_guarded=False,
        node_disks_with_own_key=False,
        nodes_verified_at_boot=False,
        pools_scale_themselves=False,
        registry_tags_immutable=False,
        registry_scans=False,
        registry_named_accounts_only=False,
        registry_with_own_key=False,
        registry_forgets_leftovers=False,
        registry_audited=False,
        bucket_versioned=False,
        bucket_private=False,
        bucket_identities_only=False,
        bucket_tls_only=False,
        bucket_with_own_key=False,
        bucket_forgets_old_versions=False,
        bucket_access_logged=False,
        keys_rotated_days=0,
        logs_kept_days=0,
        workload_identity=(),
        serving_reads_releases=False,
        serving_writes_captured_data_only=False,
        deployer=None,
        labels={},
    )
