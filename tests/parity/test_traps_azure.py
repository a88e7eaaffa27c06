"""The traps of Azure, each by name: what makes a site there behave as on the other clouds."""

from tests.parity.conftest import Run
from tests.parity.tokens import CLUSTERS, POOLS
from trihull_infra.cloud import Cloud


def test_azures_own_spot_taint_is_declared(run: Run) -> None:
    pools = run("site", "longestname1-azure").of_type(POOLS[Cloud.AZURE])
    spot = next(pool for pool in pools if pool.inputs["scaleSetPriority"] == "Spot")
    assert "kubernetes.azure.com/scalesetpriority=spot:NoSchedule" in spot.inputs["nodeTaints"]
    assert spot.inputs["spotMaxPrice"] == -1


def test_aks_has_one_inline_pool_for_the_system_alone(run: Run, name: str) -> None:
    (pool,) = run("site", f"{name}-azure").the(CLUSTERS[Cloud.AZURE]).inputs["agentPoolProfiles"]
    assert pool["mode"] == "System"
    assert pool["minCount"] >= 1
    assert pool["nodeTaints"] == ["CriticalAddonsOnly=true:NoSchedule"]


def test_aks_control_plane_has_a_guaranteed_uptime(run: Run) -> None:
    assert run("site", "local-azure").the(CLUSTERS[Cloud.AZURE]).inputs["sku"] == {"name": "Base", "tier": "Standard"}


def test_azure_role_assignments_keep_their_names_and_are_replaced_not_changed(run: Run) -> None:
    assignments = run("site", "local-azure").of_type("azure-native:authorization:RoleAssignment")
    names = [one.inputs["roleAssignmentName"] for one in assignments]
    assert len(set(names)) == len(names) >= 5
    assert all(one.delete_before_replace for one in assignments)


def test_azure_resources_carry_no_aliases(run: Run) -> None:
    native = [one for one in run("site", "local-azure").resources if one.type.startswith("azure-native:")]
    assert sum(one.aliases for one in native) == 0
