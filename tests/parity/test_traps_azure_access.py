"""The traps of Azure of who reaches and may do what: identities, keys, private access, and what is there already."""

import re
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.azure import (
    ACCOUNTS,
    ASSIGNMENTS,
    AZURE,
    ENDPOINTS,
    IDENTITIES,
    OWN,
    TRUST,
    assignment,
    bucket_of,
    built_in,
    described,
    pools,
    registered_by,
    with_change,
)
from tests.parity.conftest import WRITTEN, Run
from tests.parity.mocks import Recording
from tests.parity.tokens import CLUSTERS, KEYS, POOLS, REGISTRIES
from trihull_infra.providers.azure import roles


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


def test_nodes_pull_images_and_push_none(full: Recording) -> None:
    pull = assignment(full, "registry-pull")
    assert built_in(pull) == roles.ACR_PULL
    assert "/registries/" in pull["scope"], "of this registry alone"


def test_no_command_runs_in_the_cluster_from_outside_its_api(made: Recording) -> None:
    assert made.the(CLUSTERS[AZURE]).inputs["apiServerAccessProfile"]["disableRunCommand"] is True


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
    vault = f"/vaults/{full.the('azure-native:keyvault:Vault').inputs['vaultName']}"
    assert built_in(assignment(full, "keys-used")) == roles.KEY_ENCRYPTION_USER
    assert built_in(assignment(full, "cluster-uses-key")) == roles.KEY_USER
    assert built_in(assignment(full, "cluster-reads-disk-encryption")) == roles.READER
    assert assignment(full, "keys-used")["scope"].endswith(vault)
    assert assignment(full, "cluster-uses-key")["scope"].endswith(f"{vault}/keys/secrets"), "and on no other key"
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


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "'::/0', 198.51.100.0/24", "0.0.0.0/1, 128.0.0.0/1"])
def test_where_everybody_is_let_in_to_the_api_server_no_firewall_turns_anybody_away(networks: str) -> None:
    text, replaced = re.subn(
        r"authorised_networks: \[[^]]*\]",
        f"open_to_everybody: true, authorised_networks: [{networks}]",
        (WRITTEN / "longestname1.yaml").read_text(),
    )
    assert replaced == 1
    recorded = registered_by(text)
    for one in (bucket_of(recorded), recorded.the(REGISTRIES[AZURE])):
        rules = one.inputs["networkRuleSet"]
        assert (one.inputs["publicNetworkAccess"], rules["defaultAction"]) == ("Enabled", "Allow")


def test_nodes_reach_the_api_server_inside_the_network(made: Recording) -> None:
    access = made.the(CLUSTERS[AZURE]).inputs["apiServerAccessProfile"]
    assert access["enableVnetIntegration"] is True
    subnet = made.the("azure-native:network:Subnet", "network-api-server").inputs
    assert [one["serviceName"] for one in subnet["delegations"]] == ["Microsoft.ContainerService/managedClusters"]
    assert access["subnetId"].endswith("/subnets/api-server")


def test_the_api_servers_subnet_stays_when_private_access_is_given_up() -> None:
    text = (WRITTEN / "longestname1.yaml").read_text().replace("private_endpoints: true", "private_endpoints: false")
    recorded = registered_by(text)
    access = recorded.the(CLUSTERS[AZURE]).inputs["apiServerAccessProfile"]
    assert access["enableVnetIntegration"] is True, "a cluster that stands in its subnet can not leave it"
    assert not recorded.of_type(ENDPOINTS)
    bucket = bucket_of(recorded)
    assert (bucket.inputs["publicNetworkAccess"], bucket.inputs["networkRuleSet"]["defaultAction"]) == (
        "Enabled",
        "Allow",
    )


def test_a_network_of_somebody_gives_the_api_server_no_subnet() -> None:
    text = re.sub(r"\n      cluster: .*shared.*", "", (WRITTEN / "given.yaml").read_text())
    access = registered_by(text, "given").the(CLUSTERS[AZURE]).inputs["apiServerAccessProfile"]
    assert access["authorizedIPRanges"] == ["198.51.100.0/24"]
    assert not {"enableVnetIntegration", "subnetId"} & set(access)


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


def test_keys_are_made_in_a_vault_that_is_there() -> None:
    text = (WRITTEN / "given.yaml").read_text().replace("\n      key: models", "")
    recorded = registered_by(text, "given")
    found = [one.inputs for one in recorded.of_type(KEYS[AZURE])]
    assert {(one["resourceGroupName"], one["vaultName"]) for one in found} == {("shared", "shared")}
    assert {one["keyName"] for one in found} >= {"trihull-given-data", "trihull-given-disks"}
    assert not recorded.of_type("azure-native:keyvault:Vault")
    assert "logs-keys-diagnostics" not in {one.name for one in recorded.resources}, "its audit is its owner's"


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
