"""What a site amounts to, told without the words of any cloud, so that sites can be held against one another."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PoolProperties:
    """A pool: on-demand and spot nodes of one kind; node counts are over all zones.

    `vcpus` and `memory_gib` are what the machine class promises. `nodes_max` is what both halves may have together,
    `on_demand_nodes_max` what is left when no spot is to be had. `tainted`: what does not belong there is kept off
    (system pools, spot nodes, accelerators).
    """

    name: str
    vcpus: int
    memory_gib: float
    architecture: str
    accelerator: str | None
    nodes_min: int
    nodes_max: int
    on_demand_nodes_max: int
    spot_nodes_max: int
    labelled: bool
    tainted: bool


@dataclass(frozen=True)
class Properties:
    """What a site is; equal on all clouds but for differences declared in `capabilities.toml`."""

    # network
    zones: int
    nodes_private: bool
    registry_reached_privately: bool
    bucket_reached_privately: bool
    connections_logged: bool
    # cluster
    kubernetes_version: str
    control_plane_upgraded_in_window: bool
    nodes_upgraded_in_window: bool
    minor_upgrades_only_by_hand: bool
    api_server_networks: tuple[str, ...]
    api_server_private_only: bool
    api_server_cloud_identities_only: bool
    control_plane_logged: bool
    control_plane_guaranteed: bool
    secrets_with_own_key: bool
    network_policy_enforced: bool
    metrics_for_autoscaling: bool
    deletion_guarded: bool
    # nodes
    pools: tuple[PoolProperties, ...]
    nodes_with_own_identity: bool
    node_metadata_guarded: bool
    node_disks_with_own_key: bool
    nodes_verified_at_boot: bool
    pools_scale_themselves: bool
    # registry
    registry_tags_immutable: bool
    registry_scans: bool
    registry_named_accounts_only: bool
    registry_with_own_key: bool
    registry_forgets_leftovers: bool
    registry_audited: bool
    # bucket
    bucket_versioned: bool
    bucket_private: bool
    bucket_identities_only: bool
    bucket_tls_only: bool
    bucket_with_own_key: bool
    bucket_forgets_old_versions: bool
    bucket_access_logged: bool
    # keys and logs
    keys_rotated_days: int
    logs_kept_days: int
    # workloads and CI
    workload_identity: tuple[str, ...]
    serving_reads_releases: bool
    serving_writes_captured_data_only: bool
    deployer: str | None
    labels: Mapping[str, str]
