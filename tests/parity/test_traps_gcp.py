"""The traps of Google Cloud, each by name: what makes a site there behave as on the other clouds."""

from tests.parity.conftest import Run
from tests.parity.tokens import CLUSTERS, POOLS
from trihull_infra.cloud import Cloud


def test_gke_node_counts_are_totals_never_per_zone(run: Run) -> None:
    for pool in run("site", "longestname1-gcp").of_type(POOLS[Cloud.GCP]):
        assert set(pool.inputs["autoscaling"]) == {"totalMinNodeCount", "totalMaxNodeCount", "locationPolicy"}
        assert "nodeCount" not in pool.inputs


def test_gke_pools_are_never_inline(run: Run) -> None:
    inputs = run("site", "local-gcp").the(CLUSTERS[Cloud.GCP]).inputs
    assert inputs["removeDefaultNodePool"] is True
    assert "nodePools" not in inputs
    assert "nodeConfig" not in inputs


def test_gke_guard_is_off_where_the_environment_says_so(run: Run) -> None:
    assert run("site", "local-gcp").the(CLUSTERS[Cloud.GCP]).inputs["deletionProtection"] is False
