"""What earlier versions left in their stacks' state, met by the programs of today: nothing of it may be replaced.

Each state in tests/golden/state was written by the real engine (README.md there). Here it is imported into a backend of
its own, beside the environment file and documents that it was written for, and previewed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.parity.tokens import PROVISIONED
from trihull_infra.cloud import Cloud
from trihull_infra.emulators import client
from trihull_infra.emulators.home import Home
from trihull_infra.emulators.recorder.clouds import CLOUDS
from trihull_infra.emulators.store import Resource, Store

pytestmark = pytest.mark.timeout(420)

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests" / "golden" / "state"
VARIANTS = sorted(path.relative_to(KEPT).as_posix() for path in KEPT.glob("*/*") if path.is_dir())
NAMED = [variant for variant in VARIANTS if (KEPT / variant / "trihull-dns.local.json").exists()]
PROJECTS = ("site", "serving", "routing")  # in this order: those above refer to the site's stack
OPERATION_S = 110.0
GOES_ON = {"same", "create", "update", "read", "refresh"}  # all others end what is there, or what had its place
NEVER = "9999-12-31T23:59:59Z"


@dataclass(frozen=True)
class State:
    """A kept state: its project and stack, and the file."""

    project: str
    stack: str
    file: Path

    @property
    def exported(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    @property
    def resources(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.exported["deployment"]["resources"]
        return found


def kept(variant: str, stack: str, projects: tuple[str, ...]) -> list[State]:
    states = [State(name, stack, KEPT / variant / f"trihull-{name}.{stack}.json") for name in projects]
    return [state for state in states if state.file.exists()]


class Upgrade:
    """A folder of today's stacks with a variant's documents, and a state home of its own for all of its stacks."""

    def __init__(self, folder: Path, variant: str, engine_folder: Path) -> None:
        self.variant, self.stacks, self.folder = variant, folder / "stacks", folder
        ignore = shutil.ignore_patterns("__pycache__", "models", "environments")
        shutil.copytree(ROOT / "stacks", self.stacks, ignore=ignore)
        ignore = shutil.ignore_patterns("trihull-*.json")
        shutil.copytree(KEPT / variant, self.stacks / "environments", ignore=ignore)
        clouds = [state for cloud in PROVISIONED for state in kept(variant, f"local-{cloud}", PROJECTS)]
        remember_clusters([resource for state in clouds for resource in state.resources])
        client.start()
        outside = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        inside = client.environment(engine_folder)
        path = os.pathsep.join((str(ROOT / "tests" / "toolchain"), str(Path(sys.executable).parent), inside["PATH"]))
        self.environment = {**outside, **inside, "PATH": path}

    def pulumi(self, state: State, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                "pulumi",
                "--non-interactive",
                *arguments,
                "--stack",
                f"organization/trihull-{state.project}/{state.stack}",
            ],
            cwd=self.stacks / state.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=OPERATION_S,
            check=False,
        )

    def bring(self, states: list[State]) -> None:
        """Import states, those that refer to others after these."""
        assert states
        for state in states:
            self._import(state)

    def _import(self, state: State) -> None:
        file = self.folder / state.file.name
        file.write_text(json.dumps(unaged(state.exported)))
        for arguments in (("stack", "select", "--create"), ("stack", "import", "--file", str(file))):
            done = self.pulumi(state, *arguments)
            assert done.returncode == 0, f"{state.file}: {done.stdout}{done.stderr}"

    def ended(self, state: State) -> dict[str, str]:
        """Return what a preview would not leave in its place: URN -> operation, and what changes it."""
        done = self.pulumi(state, "preview", "--json", "--show-sames")
        try:
            plan = json.loads(done.stdout)
        except ValueError:
            pytest.fail(f"the preview of {state.file} failed:\n{done.stdout}{done.stderr}")
        steps = plan.get("steps", [])
        found = {step["urn"]: described(step) for step in steps if step["op"] not in GOES_ON}
        said = [entry["message"] for entry in plan.get("diagnostics", []) if entry["severity"] == "error"]
        if done.returncode != 0 and not found:
            pytest.fail(f"the preview of {state.file} failed:\n{''.join(said)}{done.stderr}")
        # All but the provider of references, which the engine makes by itself.
        known = [one["urn"] for one in state.resources if one["type"] != "pulumi:providers:pulumi"]
        assert found or len(steps) >= len(known), (
            f"the preview of {state.file} saw {len(steps)} of {len(known)} resources"
        )
        return found


def described(step: Mapping[str, Any]) -> str:
    reasons = ", ".join(step.get("replaceReasons") or step.get("diffReasons") or ())
    return f"{step['op']} ({reasons})" if reasons else str(step["op"])


def unaged(exported: dict[str, Any]) -> dict[str, Any]:
    """Return the state with certificates that never come of age: their renewal is a matter of time, not of versions."""
    for resource in exported["deployment"]["resources"]:
        if "validityEndTime" in resource.get("outputs", {}):
            resource["outputs"]["validityEndTime"] = NEVER
    return exported


def remember_clusters(resources: list[dict[str, Any]]) -> None:
    """Let the emulated clouds have the clusters that the states know.

    A preview compares with the state alone, but for two things: the program of Azure asks its cluster for a kubeconfig,
    and objects of Kubernetes are only compared where their cluster answers.
    """
    home = Home.default()
    home.prepare()
    store = Store(home.database)
    for one in resources:
        package = one["type"].partition(":")[0]
        if package in CLOUDS and one["type"] in CLOUDS[package].CLUSTERS:
            identity = (package, one["type"], one["id"], one["urn"])
            store.put(Resource(*identity, "kept", one["created"], one["inputs"], one["outputs"]))
    store.close()


@pytest.fixture(scope="module", params=VARIANTS)
def upgrade(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, engine_folder: Path
) -> Iterator[Upgrade]:
    """A variant's stacks in a state home where nothing was ever deployed; each stack is imported by its own test."""
    folder = tmp_path_factory.mktemp("upgrade")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIHULL_HOME", str(folder / "home"))
        yield Upgrade(folder, request.param, engine_folder)
        client.stop()


def check(upgrade: Upgrade, states: list[State]) -> None:
    upgrade.bring(states)
    ended = {urn: operation for state in states for urn, operation in upgrade.ended(state).items()}
    listed = "\n".join(f"  {urn}: {operation}" for urn, operation in ended.items())
    assert not ended, f"the state of {upgrade.variant} would not survive this version:\n{listed}"


@pytest.mark.parametrize("cloud", PROVISIONED)
def test_nothing_that_an_earlier_version_made_on_a_cloud_is_replaced(upgrade: Upgrade, cloud: Cloud) -> None:
    check(upgrade, kept(upgrade.variant, f"local-{cloud}", PROJECTS))


@pytest.mark.parametrize("upgrade", [variant for variant in VARIANTS if "local" in variant], indirect=True)
def test_the_products_own_command_replaces_nothing_either(upgrade: Upgrade) -> None:
    """It runs programs in a child process with a stack of its own; what it did to aliases once lost a workspace."""
    upgrade.bring(kept(upgrade.variant, "local-azure", ("site",)))
    command = [sys.executable, "-c", "from trihull_runtime.cli import main; main()"]
    done = subprocess.run(
        [*command, "preview", "local", "--cloud", "azure", "--json"],
        cwd=upgrade.folder, env=upgrade.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=OPERATION_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    (site,) = [step for step in json.loads(done.stdout)["steps"] if step["step"] == "site"]
    assert site["changes"]["same"] > 20
    assert set(site["changes"]) <= GOES_ON, site


@pytest.mark.parametrize("upgrade", NAMED, indirect=True)
def test_no_record_of_a_name_that_an_earlier_version_made_is_replaced(upgrade: Upgrade) -> None:
    check(upgrade, kept(upgrade.variant, "local", ("dns",)))


def test_every_version_kept_a_site_of_each_cloud() -> None:
    assert VARIANTS
    assert not [
        f"{variant} on {cloud}"
        for variant in VARIANTS
        for cloud in PROVISIONED
        if not kept(variant, f"local-{cloud}", ("site",))
    ]
