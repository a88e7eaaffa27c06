"""What the tests of Azure's traps stand on: types, a site's parts by name, and sites that were registered otherwise."""

import contextlib
import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.parity import mocks
from tests.parity.mocks import Recording, Resource
from tests.parity.tokens import BUCKETS, CLUSTERS, POOLS
from trihull_infra import provider, site
from trihull_infra.cloud import Cloud
from trihull_infra.provider import Properties
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


def registered_by(text: str, name: str = "longestname1") -> Recording:
    """Run the site of an environment that a test wrote."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for part in ("environments", "site"):
            (root / part).mkdir()
        (root / "environments" / f"{name}.yaml").write_text(text)
        with contextlib.chdir(root / "site"):
            return mocks.run(site.run, project="trihull-site", stack=f"{name}-azure", preview=False)
