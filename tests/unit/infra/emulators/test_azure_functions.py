"""What the emulated Azure says of things that nobody made: they are there in one group, and in no other."""

from pathlib import Path
from typing import Any

import pytest

from trihull_infra.emulators.plugins.provider import RefusedError
from trihull_infra.emulators.recorder.answers import Place
from trihull_infra.emulators.recorder.clouds import azure

PLACE = Place("azure", "westeurope", Path("/registries"))
ASKED = [
    ("containerservice:getManagedCluster", {"resourceName": "one"}),
    ("containerregistry:getRegistry", {"registryName": "one"}),
    ("keyvault:getKey", {"vaultName": "one", "keyName": "one"}),
]


def asked(function: str, group: str, arguments: dict[str, str], found: Any = None) -> dict[str, Any]:
    return azure.invoke(f"azure-native:{function}", {"resourceGroupName": group, **arguments}, PLACE, lambda *_: found)


@pytest.mark.parametrize(("function", "arguments"), ASKED)
def test_what_nobody_made_is_there_in_the_shared_group_alone(function: str, arguments: dict[str, str]) -> None:
    answer = asked(function, "shared", arguments)
    assert answer["name"] == "one"
    assert answer == asked(function, "shared", arguments), "the same at every call"
    with pytest.raises(RefusedError, match="was not found"):
        asked(function, "another", arguments)


def test_a_shared_key_is_named_with_its_version() -> None:
    key = asked("keyvault:getKey", "shared", {"vaultName": "v", "keyName": "k"})
    assert key["keyUri"] == "https://v.vault.azure.net/keys/k"
    assert key["keyUriWithVersion"].rpartition("/")[0] == key["keyUri"]


def test_what_was_recorded_is_answered_as_it_was_recorded() -> None:
    registry = asked("containerregistry:getRegistry", "mine", {"registryName": "r"}, {"loginServer": "r.azurecr.io"})
    assert registry["loginServer"] == "r.azurecr.io"
    key = asked("keyvault:getKey", "mine", {"vaultName": "v", "keyName": "k"}, {"keyUri": "https://v/keys/k"})
    assert key["keyUri"] == "https://v/keys/k"


def test_a_shared_cluster_vouches_for_its_service_accounts() -> None:
    cluster = asked("containerservice:getManagedCluster", "shared", {"resourceName": "one"})
    assert cluster["oidcIssuerProfile"]["issuerURL"].startswith("https://westeurope.oic.prod-aks.azure.com/")
    assert cluster["identityProfile"]["kubeletidentity"]["objectId"]
    credentials = asked("containerservice:listManagedClusterUserCredentials", "shared", {"resourceName": "one"})
    assert credentials["kubeconfigs"][0]["name"] == "clusterUser"
