"""What changes of an environment plan: the operations that an engine would show, found without one.

The inputs of two runs are held against each other by the recorder's own comparison (what replaces stands in
emulators/recorder/replaces/, a source for each row). What is made anew has unknown outputs, so what depends on it
changes too; that is followed until nothing new comes of it. `python -m tests.parity.changes` writes the golden tables.
"""

import contextlib
import copy
import functools
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.parity import mocks
from tests.parity.mocks import Key, Recording, Resource
from tests.parity.tokens import PROVISIONED
from trihull_infra import kubernetes_versions, site
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.plugins.diff import Change, compare
from trihull_infra.emulators.plugins.tls import IN_PLACE
from trihull_infra.emulators.recorder.clouds import CLOUDS
from trihull_infra.emulators.recorder.facts import facts
from trihull_infra.emulators.recorder.recording import Recorder

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "changes"
Environment = dict[str, Any]


def _set(path: str, value: object) -> Callable[[Environment], None]:
    def change(environment: Environment) -> None:
        *parents, last = path.split(".")
        inner = environment
        for part in parents:
            inner = inner.setdefault(part, {})
        inner[last] = value

    return change


def _on_every_cloud(key: str, each: Mapping[str, object]) -> Callable[[Environment], None]:
    def change(environment: Environment) -> None:
        for cloud, value in each.items():
            environment["clouds"][cloud][key] = value

    return change


OFFERED = kubernetes_versions.offered(PROVISIONED)  # changes begin one version below the newest
ACCELERATORS = {"machine": "t4", "nodes_max": 4, "spot_share": 0}
CI = {"issuer": "https://token.actions.githubusercontent.com", "subject": "repo:acme/models:environment:prod"}
ADMINISTRATORS = {
    "aws": [f"arn:aws:iam::123456789012:role/{name}" for name in ("trihull-local-deployer", "operator")],
    "gcp": ["serviceAccount:deployer@trihull-local.iam.gserviceaccount.com", "group:operators@example.com"],
    "azure": [f"00000000-0000-0000-0000-00000000000{digit}" for digit in "ab"],
}
ZONES = {
    "aws": ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
    "gcp": ["europe-west4-a", "europe-west4-b", "europe-west4-c"],
    "azure": ["1", "2", "3"],
}
PLUGIN = f"registry.example.com/k8s-device-plugin@sha256:{'d' * 64}"


def _accelerators(environment: Environment) -> None:
    environment["pools"]["accelerator"] = ACCELERATORS
    environment["clouds"]["azure"]["device_plugin"] = PLUGIN


CHANGES: dict[str, Callable[[Environment], None]] = {
    "nothing": lambda _: None,
    "more serving nodes": _set("pools.serving.nodes_max", 9),
    "fewer serving nodes at least": _set("pools.serving.nodes_min", 1),
    "more system nodes": _set("pools.system", {"machine": "small", "nodes_min": 2, "nodes_max": 5}),
    "a larger serving machine": _set("pools.serving.machine", "large"),
    "a larger system machine": _set("pools.system", {"machine": "medium", "nodes_min": 1, "nodes_max": 3}),
    "Arm serving machines": _set("pools.serving.machine", "small-arm"),
    "half of serving on spot": _set("pools.serving.spot_share", 0.5),
    "a pool of accelerators": _accelerators,
    "the next Kubernetes version": _set("kubernetes_version", OFFERED[-1]),
    "a tag": _set("tags", {"team": "search"}),
    "another owner": _set("owner", "platform"),
    "a cost centre": _set("cost_centre", "models"),
    "an administrator more": _on_every_cloud("administrators", ADMINISTRATORS),
    "a network more that reaches the API": _set(
        "api_server.authorised_networks", ["203.0.113.0/24", "198.51.100.0/24"]
    ),
    "no network that reaches the API": _set("api_server.authorised_networks", []),
    "no private endpoints": _set("network.private_endpoints", False),
    "no flow logs": _set("network.flow_logs", False),
    "keys that rotate sooner": _set("keys.rotation_days", 180),
    "keys that the clouds manage": _set("keys.own", False),
    "longer retention of logs": _set("retention.logs_days", 365),
    "longer retention of data": _set("retention", {"old_versions_days": 180, "captured_data_days": 500}),
    "another window for upgrades": _set("upgrades", {"days": ["tuesday"], "start_utc": "22:00", "hours": 6}),
    "no upgrades by the clouds": _set("upgrades", {"automatic": "none"}),
    "extended support": _set("upgrades", {"support": "extended"}),
    "a third zone": _on_every_cloud("zones", ZONES),
    "deploying from CI": _set("ci", CI),
    "the next generation of certificates": _set("certificates", {"generation": 1}),
    "protection": _set("protect", True),
    "more replicas": _set("serving.replicas_max", 9),
    "another policy of routers": _set("routing.policy", "weighted"),
}


def register(
    environment: Environment, cloud: Cloud, before: Recording | None = None, anew: frozenset[Key] = frozenset()
) -> Recording:
    """Return what the site's program registers: an update, or a preview that knows what was made `before`."""
    text = yaml.safe_dump(environment, sort_keys=False)
    return _update(text, cloud) if before is None else _run(text, cloud, before, anew)


@functools.cache
def _update(text: str, cloud: Cloud) -> Recording:
    """Run an update once for each environment: many tests begin from the same, and none changes a recording."""
    return _run(text, cloud, None, frozenset())


def _run(text: str, cloud: Cloud, before: Recording | None, anew: frozenset[Key]) -> Recording:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "environments").mkdir()
        (root / "site").mkdir()
        name = yaml.safe_load(text)["name"]
        (root / "environments" / f"{name}.yaml").write_text(text)
        with contextlib.chdir(root / "site"):
            return mocks.run(
                site.run,
                project="trihull-site",
                stack=f"{name}-{cloud}",
                preview=before is not None,
                before=before,
                anew=anew,
            )


def planned(
    change: Callable[[Environment], None], cloud: Cloud, environment: Environment, before: Recording
) -> list[str]:
    """Return the operations that a change plans, `operation type name (properties)`, sorted; nothing of what stays."""
    changed = copy.deepcopy(environment)
    change(changed)
    anew: frozenset[Key] = frozenset()
    while True:
        after = register(changed, cloud, before, anew)
        operations = compared(before, after)
        replaced = frozenset(key for key, told in operations.items() if told.startswith("replace"))
        if replaced <= anew:
            return sorted(f"{told.partition(' ')[0]} {key[0]} {key[1]}{_why(told)}" for key, told in operations.items())
        anew |= replaced


def compared(before: Recording, after: Recording) -> dict[Key, str]:
    """Return `create`, `delete`, `retain`, `update (properties)` or `replace (properties)` by type and name.

    What is retained leaves the engine's state and stays in the cloud.
    """
    old, new = _custom(before), _custom(after)
    gone = {key: "retain" if old[key].retained else "delete" for key in old if key not in new}
    operations = {key: "create" for key in new if key not in old} | gone
    for key in old.keys() & new.keys():
        changes = _changes(old[key], new[key])
        if changes:
            replacing = [one.path for one in changes if one.replace]
            paths = sorted(set(replacing or [one.path for one in changes]))
            operations[key] = f"{'replace' if replacing else 'update'} ({', '.join(paths)})"
    return operations


def _custom(recording: Recording) -> dict[Key, Resource]:
    return {
        (one.type, one.name): one
        for one in recording.resources
        if one.custom and not one.type.startswith("pulumi:providers:")
    }


def _changes(old: Resource, new: Resource) -> list[Change]:
    package = new.type.partition(":")[0]
    known, wanted = (mocks.marked(mocks.opened(one.inputs)) for one in (old, new))
    if package in CLOUDS:
        found = Recorder(package).difference(new.type, known, wanted).changes
    else:
        assert package == "tls", f"what replaces {new.type} is not known"
        replacing = [name for name in facts(new.type).inputs if name not in IN_PLACE]
        found = compare(known, wanted, replacing)
    return [one for one in found if not any(one.path.startswith(ignored) for ignored in new.ignore_changes)]


def _why(told: str) -> str:
    _, dash, why = told.partition(" ")
    return f" {why}" if dash else ""


def local() -> Environment:
    """Return the environment that changes begin from."""
    value: Environment = yaml.safe_load((ROOT / "stacks/environments/local.yaml").read_text())
    return {**value, "kubernetes_version": OFFERED[-2]}


def table(cloud: Cloud) -> dict[str, list[str]]:
    """Return what every change plans on a cloud."""
    environment = local()
    before = register(environment, cloud)
    return {name: planned(change, cloud, environment, before) for name, change in CHANGES.items()}


def write() -> None:
    """Write the golden tables."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for cloud in PROVISIONED:
        text = json.dumps(table(cloud), indent=2, ensure_ascii=False)
        (GOLDEN / f"{cloud}.json").write_text(f"{text}\n", encoding="utf-8")


__all__ = ["CHANGES", "GOLDEN", "compared", "local", "planned", "register", "table"]

if __name__ == "__main__":
    write()
