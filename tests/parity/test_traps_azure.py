"""The traps of Azure, each by name: what makes a site there behave as on the other clouds."""

import re
import uuid

import pytest

from tests.parity.azure import (
    ACCOUNTS,
    ASSIGNMENTS,
    AZURE,
    DIAGNOSTICS,
    LOCKS,
    OWN,
    WINDOWS,
    bucket_of,
    described,
    pools,
    registered_by,
    with_change,
)
from tests.parity.conftest import EXTERNAL, WRITTEN, Run
from tests.parity.mocks import Recording
from tests.parity.tokens import CLUSTERS, POOLS, REGISTRIES
from trihull_infra import naming
from trihull_infra.capabilities import capabilities
from trihull_infra.emulators.recorder import recording
from trihull_infra.emulators.recorder.facts import facts
from trihull_infra.errors import SpecError


@pytest.fixture(params=OWN)
def made(request: pytest.FixtureRequest, run: Run) -> Recording:
    """The site of an environment that names nothing as existing."""
    return run("site", f"{request.param}-azure")


@pytest.fixture
def full(run: Run) -> Recording:
    return run("site", "longestname1-azure")


@pytest.fixture
def given(run: Run) -> Recording:
    return run("site", "given-azure")


def test_aks_node_counts_are_of_the_whole_pool_over_all_zones(full: Recording) -> None:
    found = pools(full)
    assert (found["serving"]["minCount"], found["serving"]["maxCount"]) == (2, 9)
    assert (found["servingspot"]["minCount"], found["servingspot"]["maxCount"]) == (2, 4)
    assert found["serving"]["availabilityZones"] == ["1", "2", "3"], "and never a pool for each zone"
    once = with_change(full, POOLS[AZURE], lambda inputs: inputs.update(maxCount=3 * inputs["maxCount"]))
    assert once.pools != described(full.registered).pools


def test_aks_has_one_inline_pool_for_the_system_alone(made: Recording) -> None:
    (pool,) = made.the(CLUSTERS[AZURE]).inputs["agentPoolProfiles"]
    assert pool["mode"] == "System"
    assert pool["minCount"] >= 1, "AKS takes no system pool without a node"
    assert pool["nodeTaints"] == ["CriticalAddonsOnly=true:NoSchedule"], "AKS's own pods tolerate it, ours do not"
    assert pool["nodeLabels"] == {naming.POOL_LABEL: naming.SYSTEM_POOL}


def test_aks_pools_scale_by_the_clusters_own_autoscaler(made: Recording) -> None:
    assert all(pool["enableAutoScaling"] is True for pool in pools(made).values())
    assert made.the(CLUSTERS[AZURE]).inputs["autoScalerProfile"] == {"expander": "priority"}
    assert capabilities(AZURE).spot_by_priorities
    assert not capabilities(AZURE).node_autoscaler, "it is part of AKS, none of ours"
    fixed = with_change(made, POOLS[AZURE], lambda inputs: inputs.update(enableAutoScaling=False))
    assert not fixed.pools_scale_themselves


def test_aks_network_policy_is_chosen_at_creation(made: Recording) -> None:
    profile = made.the(CLUSTERS[AZURE]).inputs["networkProfile"]
    assert (profile["networkPolicy"], profile["networkDataplane"]) == ("cilium", "cilium")
    none = with_change(made, CLUSTERS[AZURE], lambda inputs: inputs["networkProfile"].pop("networkPolicy"))
    assert not none.network_policy_enforced


def test_azures_own_spot_taint_is_declared(full: Recording) -> None:
    spot = [pool for pool in pools(full).values() if pool.get("scaleSetPriority") == "Spot"]
    assert len(spot) == 2
    for pool in spot:
        assert "kubernetes.azure.com/scalesetpriority=spot:NoSchedule" in pool["nodeTaints"]
        assert f"{naming.SPOT_LABEL}=true:NoSchedule" in pool["nodeTaints"]
        assert pool["spotMaxPrice"] == -1
        assert pool["scaleSetEvictionPolicy"] == "Delete"
    bare = with_change(full, POOLS[AZURE], lambda inputs: inputs.update(nodeTaints=[]))
    assert not all(pool.tainted for pool in bare.pools)


def test_aks_accelerators_have_a_driver_and_a_taint_of_ours(full: Recording) -> None:
    accelerated = [pool for name, pool in pools(full).items() if name.startswith("accelera")]
    assert len(accelerated) == 2
    for pool in accelerated:
        assert pool["gpuProfile"] == {"driver": "Install"}
        assert f"{naming.ACCELERATOR_LABEL}=t4:NoSchedule" in pool["nodeTaints"], "Azure sets none itself"
    assert all("gpuProfile" not in pool for name, pool in pools(full).items() if not name.startswith("accelera"))


def test_accelerators_without_a_device_plugin_are_refused_before_anything_is_made(full: Recording) -> None:
    assert capabilities(AZURE).device_plugin, "AKS installs none"
    text = re.sub(r"\n    device_plugin: .*", "", (WRITTEN / "longestname1.yaml").read_text())
    with pytest.raises(SpecError, match=r"clouds\.azure\.device_plugin: is missing; .* or say `external`"):
        registered_by(text)


def test_a_device_plugin_of_somebody_elses_changes_nothing_of_the_site(full: Recording, run: Run) -> None:
    elsewhere = run("site", f"{EXTERNAL}-azure")
    made, without = ({(one.type, one.name) for one in recorded.registered} for recorded in (full, elsewhere))
    assert made == without
    assert {pool["gpuProfile"]["driver"] for pool in pools(elsewhere).values() if "gpuProfile" in pool} == {"Install"}


def test_aks_control_plane_has_a_guaranteed_uptime(run: Run, made: Recording) -> None:
    assert run("site", "local-azure").the(CLUSTERS[AZURE]).inputs["sku"] == {"name": "Base", "tier": "Standard"}
    free = with_change(made, CLUSTERS[AZURE], lambda inputs: inputs["sku"].update(tier="Free"))
    assert not free.control_plane_guaranteed


def test_aks_extended_support_is_part_of_the_premium_tier(full: Recording, run: Run) -> None:
    inputs = full.the(CLUSTERS[AZURE]).inputs
    assert (inputs["supportPlan"], inputs["sku"]["tier"]) == ("AKSLongTermSupport", "Premium")
    assert run("site", "local-azure").the(CLUSTERS[AZURE]).inputs["supportPlan"] == "KubernetesOfficial"


def test_aks_is_guarded_by_locks_that_pulumi_does_not_know_of(full: Recording, run: Run) -> None:
    locked = {one.inputs["scope"].split("/")[-2] for one in full.of_type(LOCKS)}
    assert locked == {"managedClusters", "registries", "storageAccounts"}
    assert all(one.inputs["level"] == "CanNotDelete" for one in full.of_type(LOCKS))
    assert run("site", "local-azure").of_type(LOCKS) == []
    assert not described([one for one in full.registered if one.type != LOCKS]).deletion_guarded


def test_aks_patches_inside_the_window_and_changes_no_minor_version(full: Recording) -> None:
    windows = {one.inputs["configName"]: one.inputs["maintenanceWindow"] for one in full.of_type(WINDOWS)}
    weekly = {name: window["schedule"]["weekly"]["dayOfWeek"] for name, window in windows.items()}
    assert weekly == {
        "default": "Sunday",
        "aksManagedAutoUpgradeSchedule": "Sunday",
        "aksManagedNodeOSUpgradeSchedule": "Tuesday",
    }
    for window in windows.values():
        assert (window["startTime"], window["utcOffset"], window["durationHours"]) == ("23:30", "+00:00", 6)
    assert full.the(CLUSTERS[AZURE]).inputs["autoUpgradeProfile"] == {
        "upgradeChannel": "patch",
        "nodeOSUpgradeChannel": "NodeImage",
    }
    unbound = described([one for one in full.registered if one.type != WINDOWS])
    assert not unbound.control_plane_upgraded_in_window
    assert not unbound.nodes_upgraded_in_window
    rapid = with_change(
        full, CLUSTERS[AZURE], lambda inputs: inputs["autoUpgradeProfile"].update(upgradeChannel="rapid")
    )
    assert not rapid.minor_upgrades_only_by_hand


def test_what_azure_fixes_at_creation_replaces_nothing_when_it_changes(full: Recording) -> None:
    cluster = full.the(CLUSTERS[AZURE])
    replacing = set(recording.replaces(CLUSTERS[AZURE]))
    assert "diskEncryptionSetID" in replacing
    assert "diskEncryptionSetID" in cluster.ignore_changes
    assert cluster.inputs["diskEncryptionSetID"].endswith("/diskEncryptionSets/trihull-longestname1-disks")
    assert "agentPoolProfiles[0].enableEncryptionAtHost" in cluster.ignore_changes
    assert {"apiServerAccessProfile.enableVnetIntegration", "apiServerAccessProfile.subnetId"} <= set(
        cluster.ignore_changes
    )
    registry = full.the(REGISTRIES[AZURE])
    assert {"encryption", "identity", "zoneRedundancy"} <= set(registry.ignore_changes)
    assert "properties.softDeleteRetentionInDays" in full.the("azure-native:keyvault:Vault").ignore_changes
    assert all("enableEncryptionAtHost" in pool.ignore_changes for pool in full.of_type(POOLS[AZURE]))


def test_every_type_that_azure_registers_says_what_replaces_it(full: Recording, run: Run) -> None:
    table = recording._table()
    used = {one.type for one in [*full.registered, *run("site", "given-azure").registered]}
    missing = {token for token in used if token.startswith("azure-native:") and token not in table}
    assert not missing


def test_azure_role_assignments_keep_their_names_and_are_replaced_not_changed(full: Recording) -> None:
    assignments = full.of_type(ASSIGNMENTS)
    names = [one.inputs["roleAssignmentName"] for one in assignments]
    assert len(set(names)) == len(names) >= 12
    assert all(uuid.UUID(name).version == 5 for name in names), "a name that follows from what it is called here"
    assert all(one.delete_before_replace for one in assignments)


def test_azure_resources_carry_no_aliases_but_ours(full: Recording) -> None:
    aliased = [one.name for one in full.resources if one.type.startswith("azure-native:") and one.aliases]
    assert aliased == ["logs-workspace"], "it was the cluster's in version 0.1.0"


def test_nodes_have_no_public_address_and_are_encrypted_at_their_host(made: Recording) -> None:
    for pool in pools(made).values():
        assert pool["enableNodePublicIP"] is False
        assert pool["enableEncryptionAtHost"] is True
    open_ = with_change(made, POOLS[AZURE], lambda inputs: inputs.update(enableNodePublicIP=True))
    assert not open_.nodes_private


def test_nodes_are_verified_at_boot_where_aks_can(full: Recording, given: Recording) -> None:
    found = pools(full)
    assert found["system"]["securityProfile"] == {"enableVTPM": True, "enableSecureBoot": True}
    assert found["serving"]["securityProfile"] == {"enableVTPM": True, "enableSecureBoot": True}
    measured = {"enableVTPM": True, "enableSecureBoot": False}
    assert found["accelerator"]["securityProfile"] == measured, "the driver is not signed"
    assert all("securityProfile" not in pool for pool in pools(given).values()), "AKS offers it for no Arm machine"
    off = with_change(full, POOLS[AZURE], lambda inputs: inputs.pop("securityProfile", None))
    assert not off.nodes_verified_at_boot


def test_versions_and_soft_delete_are_the_accounts(made: Recording, run: Run) -> None:
    settings = made.the("azure-native:storage:BlobServiceProperties").inputs
    assert settings["accountName"] == bucket_of(made).inputs["accountName"], "the bucket is an account and a container"
    assert settings["isVersioningEnabled"] is True
    rules = run("site", "longestname1-azure").the("azure-native:storage:ManagementPolicy").inputs["policy"]["rules"]
    leftovers, captured = (rule["definition"] for rule in rules)
    assert leftovers["actions"] == {"version": {"delete": {"daysAfterCreationGreaterThan": 30}}}
    assert captured["actions"] == {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 200}}}
    assert captured["filters"]["prefixMatch"] == ["trihull/captured/"], "prefixes of a policy begin with the container"


def test_registry_forgets_only_what_has_lost_its_tag(full: Recording) -> None:
    inputs = full.the(REGISTRIES[AZURE]).inputs
    assert inputs["sku"] == {"name": "Premium"}
    assert inputs["policies"] == {"retentionPolicy": {"status": "enabled", "days": 7}}


def test_everything_that_holds_data_is_audited(full: Recording) -> None:
    kept = {
        one.name: {log["category"] for log in one.inputs["logs"] if log["enabled"]} for one in full.of_type(DIAGNOSTICS)
    }
    assert kept["logs-keys-diagnostics"] == {"AuditEvent"}
    assert "ContainerRegistryRepositoryEvents" in kept["registry-diagnostics"]
    assert kept["bucket-diagnostics"] == {"StorageRead", "StorageWrite", "StorageDelete"}
    assert "kube-audit-admin" in kept["cluster-diagnostics"]
    blobs = full.the(DIAGNOSTICS, "bucket-diagnostics").inputs["resourceUri"]
    assert blobs.endswith("/blobServices/default"), "an account itself has no access log"
    assert full.the(DIAGNOSTICS, "cluster-diagnostics").inputs["logAnalyticsDestinationType"] == "Dedicated"
    workspaces = {one.inputs["workspaceId"] for one in full.of_type(DIAGNOSTICS)}
    assert len(workspaces) == 1
    silent = described([one for one in full.registered if one.name != "bucket-diagnostics"])
    assert not silent.bucket_access_logged


def test_azure_names_that_all_customers_share_are_within_their_limits(full: Recording) -> None:
    accounts = [one.inputs["accountName"] for one in full.of_type(ACCOUNTS)]
    assert len(set(accounts)) == 2
    names = [*accounts, full.the("azure-native:keyvault:Vault").inputs["vaultName"]]
    assert all(re.fullmatch(r"[a-z][a-z0-9]{2,23}", name) for name in names)
    assert all(len(name) <= 12 for name in pools(full))


def test_mandatory_tags_are_on_everything_that_takes_any(made: Recording) -> None:
    taking = [
        one for one in made.registered if one.type.startswith("azure-native:") and "tags" in facts(one.type).inputs
    ]
    assert len(taking) > 15
    for one in taking:
        assert {"owner", "environment", "application"} <= set(one.inputs["tags"]), f"{one.type} {one.name}"
