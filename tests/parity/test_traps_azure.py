"""The traps of Azure, each by name: what makes a site there behave as on the other clouds."""

import contextlib
import copy
import re
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.conftest import WRITTEN, Run
from tests.parity.mocks import Recording, Resource
from tests.parity.tokens import BUCKETS, CLUSTERS, KEYS, POOLS, REGISTRIES
from trihull_infra import naming, provider, site
from trihull_infra.capabilities import capabilities
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder import recording
from trihull_infra.emulators.recorder.facts import facts
from trihull_infra.errors import SpecError
from trihull_infra.provider import Properties
from trihull_infra.providers.azure import roles
from trihull_infra.registered import Registered

AZURE = Cloud.AZURE
OWN = ("local", "longestname1")  # the environments whose cluster, registry, vault and network are made
ASSIGNMENTS = "azure-native:authorization:RoleAssignment"
LOCKS = "azure-native:authorization:ManagementLockByScope"
WINDOWS = "azure-native:containerservice:MaintenanceConfiguration"
ENDPOINTS = "azure-native:network:PrivateEndpoint"
DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"
IDENTITIES = "azure-native:managedidentity:UserAssignedIdentity"
TRUST = "azure-native:managedidentity:FederatedIdentityCredential"
ACCOUNTS = BUCKETS[AZURE]


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


def described(registered: Sequence[Registered]) -> Properties:
    return provider.load(AZURE).describe(registered)


def with_change(recording: Recording, token: str, change: Callable[[dict[str, Any]], object]) -> Properties:
    """Describe a site of which the resources of one type were registered otherwise: a test that bites sees it."""
    registered = []
    for one in recording.registered:
        inputs = copy.deepcopy(dict(one.inputs))
        if one.type == token:
            change(inputs)
        registered.append(Registered(one.type, one.name, inputs))
    return described(registered)


def pools(recording: Recording) -> dict[str, Mapping[str, Any]]:
    """Every pool by its name, the inline one of a cluster of ours among them."""
    inline = [pool for one in recording.of_type(CLUSTERS[AZURE]) for pool in one.inputs["agentPoolProfiles"]]
    found = {pool["name"]: pool for pool in inline}
    return {**found, **{one.inputs["agentPoolName"]: one.inputs for one in recording.of_type(POOLS[AZURE])}}


def bucket_of(recording: Recording) -> Resource:
    return recording.the(ACCOUNTS, "bucket-account")


def assignment(recording: Recording, name: str) -> Mapping[str, Any]:
    return recording.the(ASSIGNMENTS, name).inputs


def built_in(assigned: Mapping[str, Any]) -> str:
    return str(assigned["roleDefinitionId"]).rpartition("/")[2]


# node counts, scaling, metrics


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


# spot and accelerators


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
    with pytest.raises(SpecError, match=r"clouds\.azure\.device_plugin: is missing"):
        registered_by(text)


# guards, guarantees, upgrades


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
    assert not described([one for one in full.registered if one.type != WINDOWS]).upgrades_in_window
    rapid = with_change(
        full, CLUSTERS[AZURE], lambda inputs: inputs["autoUpgradeProfile"].update(upgradeChannel="rapid")
    )
    assert not rapid.minor_upgrades_only_by_hand


# what Azure fixes at creation, and what it lets nobody edit


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


# who may do what


def test_azure_identities_are_trusted_by_issuer_and_subject(made: Recording, given: Recording) -> None:
    for recorded in (made, given):
        serving = recorded.the(TRUST, "identity-serving-association").inputs
        assert serving["subject"] == "system:serviceaccount:trihull:trihull-serving"
        assert serving["issuer"].startswith("https://")
        assert serving["audiences"] == ["api://AzureADTokenExchange"]
    off = with_change(made, CLUSTERS[AZURE], lambda inputs: inputs.update(oidcIssuerProfile={"enabled": False}))
    assert off.workload_identity == ()


def test_serving_reads_releases_and_writes_captured_data_and_nothing_else(full: Recording) -> None:
    reads = assignment(full, "identity-serving-permissions")
    assert built_in(reads) == roles.BLOB_READER
    assert re.findall("StringStartsWith '([^']*)'", reads["condition"]) == ["releases/", "releases/"]
    assert "Blob.List" in reads["condition"], "lists are asked for by prefix, reads by path"
    writes = assignment(full, "identity-serving-captures")
    assert re.findall("StringStartsWith '([^']*)'", writes["condition"]) == ["captured/"]
    assert {reads["conditionVersion"], writes["conditionVersion"]} == {"2.0"}
    assert reads["scope"] == writes["scope"]
    assert writes["scope"].endswith("/containers/trihull")
    role = full.the("azure-native:authorization:RoleDefinition").inputs
    assert role["permissions"][0]["dataActions"] == list(roles.WRITE), "neither reading, listing nor deleting"
    assert role["permissions"][0]["actions"] == [], "nothing of the container itself"
    assert built_in(writes) == role["roleDefinitionId"]

    def unlimited(inputs: dict[str, Any]) -> None:
        inputs.pop("condition", None)

    everything = with_change(full, ASSIGNMENTS, unlimited)
    assert not everything.serving_reads_releases
    assert not everything.serving_writes_captured_data_only

    def too_far(inputs: dict[str, Any]) -> None:
        inputs["condition"] = str(inputs.get("condition")).replace("captured/", "releases/")

    assert not with_change(full, ASSIGNMENTS, too_far).serving_writes_captured_data_only


def test_every_condition_is_well_formed(full: Recording) -> None:
    conditions = [one.inputs["condition"] for one in full.of_type(ASSIGNMENTS) if one.inputs.get("condition")]
    assert len(conditions) == 4
    for condition in conditions:
        assert condition.count("(") == condition.count(")")
        assert condition.count("{") == condition.count("}")
        assert condition.startswith("(")


def test_each_purpose_has_an_identity_of_its_own(full: Recording) -> None:
    names = {one.inputs["resourceName"].removeprefix("trihull-longestname1-") for one in full.of_type(IDENTITIES)}
    assert names == {"cluster", "nodes", "keys", "flows", "serving", "ci"}


def test_ci_is_trusted_by_its_subject_and_does_nothing_of_the_clouds(full: Recording, run: Run) -> None:
    trust = full.the(TRUST, "identity-ci-association").inputs
    assert trust["issuer"] == "https://token.actions.githubusercontent.com"
    assert trust["subject"] == "repo:acme/models:environment:prod"
    held = {one.name: built_in(one.inputs) for one in full.of_type(ASSIGNMENTS) if one.name.startswith("identity-ci-")}
    writer = full.the("azure-native:authorization:RoleDefinition").inputs["roleDefinitionId"]
    assert held == {
        "identity-ci-pushes": roles.ACR_PUSH,
        "identity-ci-reads-releases": roles.BLOB_READER,
        "identity-ci-writes-releases": writer,
        "identity-ci-gets-credentials": roles.CLUSTER_USER,
        "identity-ci-administers": roles.CLUSTER_ADMINISTRATOR,
    }
    assert "'releases/'" in assignment(full, "identity-ci-writes-releases")["condition"]
    assert set(mocks.opened(full.exports["deployer"])) == {"client_id", "tenant_id", "subscription_id"}
    assert run("site", "local-azure").exports["deployer"] == {}


# keys


def test_each_purpose_has_a_rotated_key_in_a_vault_that_roles_alone_open(full: Recording) -> None:
    vault = full.the("azure-native:keyvault:Vault").inputs["properties"]
    assert vault["enableRbacAuthorization"] is True
    assert vault["enablePurgeProtection"] is True, "Azure encrypts with no key of a vault without it"
    assert vault["softDeleteRetentionInDays"] == 90
    assert "accessPolicies" not in vault
    assert "networkAcls" not in vault, "AKS does not get through a vault's firewall"
    assert {one.inputs["keyName"] for one in full.of_type(KEYS[AZURE])} == {
        "secrets",
        "images",
        "data",
        "disks",
        "logs",
    }
    assert described(full.registered).keys_rotated_days == 180

    def never(inputs: dict[str, Any]) -> None:
        if inputs["keyName"] == "data":
            inputs["properties"].pop("rotationPolicy")

    assert with_change(full, KEYS[AZURE], never).keys_rotated_days == 0


def test_services_rotate_to_new_versions_by_themselves_where_azure_can(full: Recording) -> None:
    registry = full.the(REGISTRIES[AZURE]).inputs["encryption"]["keyVaultProperties"]
    assert registry["keyIdentifier"].endswith("/keys/images"), "a registry's key is named without its version"
    data = bucket_of(full).inputs["encryption"]["keyVaultProperties"]
    assert data["keyName"] == "data"
    assert "keyVersion" not in data
    assert data["keyVaultUri"].startswith("https://trihulllongestname1")
    disks = full.the("azure-native:compute:DiskEncryptionSet").inputs
    assert disks["rotationToLatestKeyVersionEnabled"] is True
    secrets = full.the(CLUSTERS[AZURE]).inputs["securityProfile"]["azureKeyVaultKms"]
    assert re.search(r"/keys/secrets/[0-9a-f]{32}$", secrets["keyId"]), "AKS wants the version"
    assert secrets["keyVaultNetworkAccess"] == "Public"


def test_every_user_of_a_key_holds_a_role_on_it_first(full: Recording) -> None:
    vault = "/vaults/trihulllongestname1"
    assert built_in(assignment(full, "keys-used")) == roles.KEY_ENCRYPTION_USER
    assert built_in(assignment(full, "cluster-uses-key")) == roles.KEY_USER
    assert built_in(assignment(full, "cluster-reads-disk-encryption")) == roles.READER
    assert vault in assignment(full, "keys-used")["scope"]
    order = [one.name for one in full.resources]
    assert order.index("keys-used") < order.index("bucket-account")


def test_without_keys_of_ones_own_none_is_made(run: Run) -> None:
    text = (WRITTEN / "longestname1.yaml").read_text().replace("keys: {own: true,", "keys: {own: false,")
    recorded = registered_by(text)
    assert not recorded.of_type(KEYS[AZURE])
    assert not recorded.of_type("azure-native:keyvault:Vault")
    found = described(recorded.registered)
    assert not any((found.secrets_with_own_key, found.bucket_with_own_key, found.registry_with_own_key))
    assert not found.node_disks_with_own_key
    assert found.registry_reached_privately
    assert "trihull:keys:Keys" in {one.type for one in recorded.resources}


# network


def test_registry_and_bucket_are_reached_through_the_network(made: Recording) -> None:
    groups = [one.inputs["privateLinkServiceConnections"][0]["groupIds"] for one in made.of_type(ENDPOINTS)]
    assert sorted(groups) == [["blob"], ["registry"]]
    zones = {one.inputs["privateZoneName"] for one in made.of_type("azure-native:privatedns:PrivateZone")}
    assert zones == {"privatelink.azurecr.io", "privatelink.blob.core.windows.net"}
    links = made.of_type("azure-native:privatedns:VirtualNetworkLink")
    assert len(links) == 2
    unnamed = [one for one in made.registered if one.type != "azure-native:network:PrivateDnsZoneGroup"]
    assert not described(unnamed).registry_reached_privately, "an endpoint that no name leads to is not used"


def test_nobody_comes_in_by_the_internet_but_the_authorised(full: Recording, run: Run) -> None:
    for one in (bucket_of(full), full.the(REGISTRIES[AZURE])):
        assert one.inputs["publicNetworkAccess"] == "Disabled"
        assert one.inputs["networkRuleSet"]["defaultAction"] == "Deny"
    local = run("site", "local-azure")
    for one in (bucket_of(local), local.the(REGISTRIES[AZURE])):
        rules = one.inputs["networkRuleSet"]
        assert (one.inputs["publicNetworkAccess"], rules["defaultAction"]) == ("Enabled", "Deny")
        assert rules["ipRules"] == [{"action": "Allow", "iPAddressOrRange": "203.0.113.0/24"}]


def test_nodes_reach_the_api_server_inside_the_network(made: Recording) -> None:
    access = made.the(CLUSTERS[AZURE]).inputs["apiServerAccessProfile"]
    assert access["enableVnetIntegration"] is True
    subnet = made.the("azure-native:network:Subnet", "network-api-server").inputs
    assert [one["serviceName"] for one in subnet["delegations"]] == ["Microsoft.ContainerService/managedClusters"]
    assert access["subnetId"].endswith("/subnets/api-server")


def test_without_private_access_the_nodes_own_address_is_authorised() -> None:
    text = (WRITTEN / "longestname1.yaml").read_text()
    text = text.replace("private_endpoints: true", "private_endpoints: false")
    text = text.replace("authorised_networks: []", "authorised_networks: [198.51.100.0/24]")
    recorded = registered_by(text)
    access = recorded.the(CLUSTERS[AZURE]).inputs["apiServerAccessProfile"]
    first, nat = access["authorizedIPRanges"]
    assert first == "198.51.100.0/24"
    assert re.fullmatch(r"198\.19\.\d+\.\d+/32", nat), "else no node would reach its API server"
    assert "enableVnetIntegration" not in access
    assert not recorded.of_type(ENDPOINTS)


def test_subnets_are_made_one_after_the_other_and_do_not_overlap(made: Recording) -> None:
    found = [one.inputs["addressPrefix"] for one in made.of_type("azure-native:network:Subnet")]
    assert len(found) == len(set(found)) == 3
    assert all(one.inputs["defaultOutboundAccess"] is False for one in made.of_type("azure-native:network:Subnet"))


def test_flow_logs_lie_below_the_regions_own_watcher(full: Recording) -> None:
    log = full.the("azure-native:network:FlowLog").inputs
    assert (log["resourceGroupName"], log["networkWatcherName"]) == ("NetworkWatcherRG", "NetworkWatcher_eastus")
    assert log["retentionPolicy"] == {"enabled": True, "days": 365}
    assert not full.of_type("azure-native:network:NetworkWatcher"), "a region has one, and takes no second"
    account = full.the(ACCOUNTS, "logs-account").inputs
    assert account["allowSharedKeyAccess"] is False
    assert log["identity"]["type"] == "UserAssigned"
    off = with_change(full, "azure-native:network:FlowLog", lambda inputs: inputs.update(enabled=False))
    assert not off.connections_logged


# nodes


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


# registry, bucket, logs


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
    workspaces = {one.inputs["workspaceId"] for one in full.of_type(DIAGNOSTICS)}
    assert len(workspaces) == 1
    silent = described([one for one in full.registered if one.name != "bucket-diagnostics"])
    assert not silent.bucket_access_logged


# what is there already


def test_what_is_named_as_existing_is_asked_for_where_it_lies(given: Recording) -> None:
    asked = {token.rpartition(":")[2]: arguments for token, arguments, _ in given.invokes}
    assert asked["getManagedCluster"] == {"resourceGroupName": "shared", "resourceName": "shared"}
    assert asked["listManagedClusterUserCredentials"]["resourceGroupName"] == "shared"
    assert asked["getRegistry"] == {"resourceGroupName": "shared", "registryName": "shared"}
    assert asked["getKey"] == {"resourceGroupName": "shared", "vaultName": "shared", "keyName": "models"}


def test_pools_of_somebodys_cluster_lie_in_its_group_and_network(given: Recording) -> None:
    for one in given.of_type(POOLS[AZURE]):
        assert (one.inputs["resourceGroupName"], one.inputs["resourceName"]) == ("shared", "shared")
        assert one.inputs["vnetSubnetID"].endswith("/virtualNetworks/shared/subnets/nodes")
    assert pools(given)["system"]["mode"] == "System"


def test_a_key_that_is_there_serves_every_purpose(given: Recording) -> None:
    grant = assignment(given, "keys-used")
    assert grant["scope"].endswith("/vaults/shared/keys/models"), "a role on the key alone, not on somebody's vault"
    data = bucket_of(given).inputs["encryption"]["keyVaultProperties"]
    assert data == {"keyName": "models", "keyVaultUri": "https://shared.vault.azure.net"}


def test_nothing_of_somebodys_network_is_touched(given: Recording) -> None:
    types = {one.type for one in given.registered}
    assert not {token for token in types if token.startswith(("azure-native:network:", "azure-native:privatedns:"))}


def test_private_access_in_somebodys_network_lies_in_our_group() -> None:
    text = (WRITTEN / "given.yaml").read_text().replace("private_endpoints: false", "private_endpoints: true")
    text = re.sub(r"\n      (vault|key|cluster|registry): (/subscriptions|models).*", "", text)
    text = text.replace("flow_logs: false", "flow_logs: true")
    recorded = registered_by(text, "given")
    for one in recorded.of_type(ENDPOINTS):
        assert one.inputs["resourceGroupName"] == "trihull-given"
        assert one.inputs["subnet"]["id"].endswith("/virtualNetworks/shared/subnets/endpoints")
    assert len(recorded.of_type(ENDPOINTS)) == 2
    types = {one.type for one in recorded.registered}
    assert not {"azure-native:network:Subnet", "azure-native:network:FlowLog"} & types
    joins = assignment(recorded, "cluster-joins-network")
    assert joins["scope"].endswith("/virtualNetworks/shared")


# names and tags


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


def registered_by(text: str, name: str = "longestname1") -> Recording:
    """Run the site of an environment that a test wrote."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for part in ("environments", "site"):
            (root / part).mkdir()
        (root / "environments" / f"{name}.yaml").write_text(text)
        with contextlib.chdir(root / "site"):
            return mocks.run(site.run, project="trihull-site", stack=f"{name}-azure", preview=False)
