"""What changes of an environment plan on each cloud: updates where people change most, and never the loss of data."""

import copy
import functools
import json
import re

import pytest

from tests.parity.changes import CHANGES, GOLDEN, compared, local, planned, register, table
from tests.parity.tokens import BUCKETS, CLUSTERS, KEYS, POOLS, PROVISIONED, REGISTRIES
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.recorder.recording import looked_up

# Changes that everybody makes: they update in place, pools included.
USUAL = {
    "more serving nodes",
    "fewer serving nodes at least",
    "more system nodes",
    "the next Kubernetes version",
    "a tag",
    "another owner",
    "a cost centre",
    "an administrator more",
    "a network more that reaches the API",
    "keys that rotate sooner",
    "longer retention of logs",
    "longer retention of data",
    "another window for upgrades",
    "more replicas",
    "another policy of routers",
}


# What else stays with the keys, and what of theirs goes: what nothing that they encrypted is read through.
USED_THROUGH = {
    Cloud.AWS: set[tuple[str, str]](),
    Cloud.GCP: {
        ("gcp:kms/keyRing:KeyRing", "keys-ring"),
        *(
            ("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember", f"keys-{purpose}-use")
            for purpose in ("data", "disks", "images", "logs", "secrets")
        ),
    },
    Cloud.AZURE: {
        ("azure-native:keyvault:Vault", "keys-vault"),
        ("azure-native:managedidentity:UserAssignedIdentity", "keys-identity"),
        ("azure-native:authorization:RoleAssignment", "keys-used"),
        ("azure-native:authorization:RoleAssignment", "cluster-uses-key"),
        ("azure-native:authorization:RoleAssignment", "cluster-reads-disk-encryption"),
        ("azure-native:compute:DiskEncryptionSet", "keys-disk-encryption"),
    },
}
ENDED = {
    Cloud.AWS: {
        "identity-serving-key",
        *(f"keys-{purpose}-alias" for purpose in ("data", "disks", "images", "logs", "secrets")),
    },
    Cloud.GCP: {"keys-agent-artifactregistry", "keys-agent-container"},  # accounts of Google's, which no API ends
    Cloud.AZURE: {"logs-keys-diagnostics"},
}
LOGS = {"logs-account"}  # where Azure keeps flow logs: they go with it, once nobody asks for them


@pytest.fixture(params=PROVISIONED)
def cloud(request: pytest.FixtureRequest) -> Cloud:
    return Cloud(request.param)


planned_on = functools.cache(table)


def test_what_is_planned_is_what_the_golden_table_says(cloud: Cloud) -> None:
    golden = json.loads((GOLDEN / f"{cloud}.json").read_text(encoding="utf-8"))
    assert planned_on(cloud) == golden, "if that is meant: python -m tests.parity.changes"


def test_no_change_plans_nothing(cloud: Cloud) -> None:
    assert planned_on(cloud)["nothing"] == []


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_no_change_ends_what_holds_data_or_identity(cloud: Cloud, name: str) -> None:
    kept = [CLUSTERS[cloud], BUCKETS[cloud], REGISTRIES[cloud]]
    if name != "keys that the clouds manage":
        kept.append(KEYS[cloud])
    ended = [
        line
        for line in planned_on(cloud)[name]
        if line.startswith(("replace ", "delete ")) and line.split(" ")[1] in kept and line.split(" ")[2] not in LOGS
    ]
    assert ended == []


def test_keys_that_are_switched_off_stay_where_they_are(cloud: Cloud) -> None:
    """And all through which a cloud uses them for what they encrypted: a registry, disks, objects, secrets."""
    environment = local()
    del environment["keys"]  # as everywhere but with the emulators, which can make them again
    gone = [
        line.split(" ")[:3]
        for line in planned(CHANGES["keys that the clouds manage"], cloud, environment, register(environment, cloud))
        if line.startswith(("retain ", "delete ", "replace "))
    ]
    kept = {(token, name) for operation, token, name in gone if operation == "retain"}
    keys = register(environment, cloud).of_type(KEYS[cloud])
    assert len(keys) == 5
    assert {(one.type, one.name) for one in keys} | USED_THROUGH[cloud] == kept
    ended = {name for operation, _, name in gone if operation != "retain"}
    assert ended <= ENDED[cloud]
    assert not any(line.startswith("retain ") for line in planned_on(cloud)["keys that the clouds manage"])


@pytest.mark.parametrize("keep", [True, False])
def test_keys_stay_unless_an_environment_says_that_they_need_not(cloud: Cloud, keep: bool) -> None:
    environment = local()
    environment["keys"] = {"keep": keep}
    kept = [one for one in register(environment, cloud).resources if one.retained]
    assert {one.type for one in kept} >= {KEYS[cloud]} if keep else kept == []
    assert not any(one.type in (CLUSTERS[cloud], BUCKETS[cloud], REGISTRIES[cloud]) for one in kept)


@pytest.mark.parametrize("name", sorted(USUAL))
def test_what_people_change_most_replaces_nothing(cloud: Cloud, name: str) -> None:
    assert [line for line in planned_on(cloud)[name] if line.startswith(("replace ", "delete "))] == []


def test_other_machines_replace_pools_alone(cloud: Cloud) -> None:
    """Pools, and on AWS the tags by which an autoscaler finds them."""
    ended = [line for line in planned_on(cloud)["a larger serving machine"] if line.startswith(("replace ", "delete "))]
    assert {line.split(" ")[1] for line in ended} <= {POOLS[cloud], "aws:autoscaling/tag:Tag"}


def test_the_table_bites(cloud: Cloud) -> None:
    """A region is fixed for good: moving there replaces the bucket, and the comparison says so."""
    begun = {**local(), "name": "lab"}  # `local` may name the emulators' own account alone
    moved = copy.deepcopy(begun)
    places = {
        Cloud.AWS: {"region": "eu-west-1", "zones": ["eu-west-1a", "eu-west-1b"]},
        Cloud.GCP: {"region": "us-east1", "zones": ["us-east1-b", "us-east1-c"]},
        Cloud.AZURE: {"region": "northeurope", "zones": ["1", "2"]},
    }
    moved["clouds"][cloud] |= places[cloud]
    if cloud == Cloud.AWS:  # the region of AWS is the engine provider's; the account's bucket is told apart by its name
        moved["clouds"][cloud]["account"] = "210987654321"
    before = register(begun, cloud)
    operations = compared(before, register(moved, cloud, before))
    assert operations[BUCKETS[cloud], _name(before, BUCKETS[cloud])].startswith("replace ")


def test_every_type_that_is_registered_says_what_replaces_it(cloud: Cloud) -> None:
    """Each has a row with a source; azure-native's path arguments and location are known without one."""
    kinds = {one.type for one in register(local(), cloud).resources if one.custom}
    missing = [kind for kind in sorted(kinds) if re.match(r"aws:|gcp:|azure-native:", kind) and not looked_up(kind)]
    assert missing == []


def _name(recording: object, token: str) -> str:
    found, *_ = recording.of_type(token)  # type: ignore[attr-defined]  # a Recording
    return str(found.name)
