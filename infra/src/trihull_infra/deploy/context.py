"""One environment of one stacks folder: its documents, its engine, and the environment that the engine runs in."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_infra import emulated, engine, environment
from trihull_infra.cloud import Cloud
from trihull_infra.deploy.stacks import Action, Project, Task
from trihull_infra.environment import Environment
from trihull_infra.errors import DeployError, SpecError
from trihull_runtime import paths
from trihull_runtime.contract import ContractError, EnvironmentReleases, Fleet
from trihull_runtime.contract.codec import Document, write_file
from trihull_runtime.errors import UsageError

EMULATED: Final = emulated.ENVIRONMENT


@dataclass(frozen=True)
class Documents:
    """The files of an environment, beside `<environment>.yaml`."""

    folder: Path
    name: str

    @property
    def releases(self) -> Path:
        """What each site shall serve (EnvironmentReleases)."""
        return self.folder / f"{self.name}.releases.json"

    @property
    def fleet(self) -> Path:
        """All sites as routers see them (Fleet)."""
        return self.folder / f"{self.name}.fleet.json"

    @property
    def routers(self) -> Path:
        """Where the routers answer: `{"version": 1, "routers": {cloud: url}}`."""
        return self.folder / f"{self.name}.routers.json"

    def read_fleet(self) -> Fleet | None:
        """Return the fleet as it stands, None when there is none; raises ContractError when it cannot be read."""
        return Fleet.read(self.fleet) if self.fleet.exists() else None

    def read_releases(self) -> EnvironmentReleases:
        """Return what shall be served; raises SpecError with what to do when nothing was chosen yet."""
        if not self.releases.exists():
            raise SpecError(
                f"{self.releases} is not there, so nothing says what to serve: run `trihull package MODEL_DIR`, "
                f"`trihull package --router` and `trihull release {self.name} RELEASE_DIR --router ROUTER_DIR` first"
            )
        return EnvironmentReleases.read(self.releases)

    def read_routers(self) -> dict[str, str]:
        """Return the routers' addresses by cloud; empty when none is known."""
        if not self.routers.exists():
            return {}
        try:
            routers = json.loads(self.routers.read_bytes())["routers"]
            return {str(cloud): str(url) for cloud, url in routers.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ContractError(str(self.routers), "", f"cannot be read: {error!r}") from error

    def write_routers(self, routers: Mapping[str, str]) -> None:
        """Write the routers' addresses."""
        value = {"version": 1, "routers": dict(sorted(routers.items()))}
        write_file(self.routers, (json.dumps(value, indent=2) + "\n").encode())


def write_if_changed(document: Document, path: Path) -> bool:
    """Write a document unless the file says just that; returns whether it was written."""
    if path.exists() and path.read_text(encoding="utf-8") == document.to_json():
        return False
    document.write(path)
    return True


@dataclass(frozen=True)
class Context:
    """What every step of a deploy needs; made by `open_context`."""

    environment: Environment
    stacks: Path
    documents: Documents
    engine: Path
    variables: Mapping[str, str]
    epoch: str | None

    @property
    def emulated(self) -> bool:
        """Whether the clouds are the emulators."""
        return self.environment.name == EMULATED

    def stack(self, cloud: Cloud, project: Project = Project.SITE) -> str:
        """Return the name of a cloud's stack in a project: the environment's own where one serves all sites."""
        return self.environment.name if project.whole else f"{self.environment.name}-{cloud}"

    def task(
        self,
        project: Project,
        cloud: Cloud,
        action: Action,
        *,
        clear_pending: bool = False,
        remove: bool = False,
        show_secrets: bool = False,
    ) -> Task:
        """Return what a stack's process is to do; the cloud is read first when the emulators forgot everything."""
        return Task(
            cloud=cloud,
            project=project,
            stack=self.stack(cloud, project),
            action=action,
            folder=self.stacks / project,
            engine=self.engine,
            environment=self.variables,
            refresh=self._forgotten(project, cloud),
            clear_pending=clear_pending,
            remove=remove,
            emulated=self.emulated,
            show_secrets=show_secrets,
        )

    def remember(self, project: Project, cloud: Cloud) -> None:
        """Note that a stack was brought up in this epoch of the emulators."""
        if self.epoch is not None:
            write_file(
                _epochs(), (json.dumps({**_read_epochs(), self._key(project, cloud): self.epoch}) + "\n").encode()
            )

    def _forgotten(self, project: Project, cloud: Cloud) -> bool:
        last = _read_epochs().get(self._key(project, cloud))
        return self.epoch is not None and last is not None and last != self.epoch

    def _key(self, project: Project, cloud: Cloud) -> str:
        return f"{project}/{self.stack(cloud, project)}"


def open_context(name: str, stacks: Path, report: Callable[[str], None]) -> Context:
    """Read the environment, find the engine, and for emulated clouds start the emulators.

    Raises:
        UsageError: the folder holds no stacks, or this shell is set up for the emulators and the environment is real.
        SpecError: the environment does not say what is needed.
        EngineError, EmulatorError: as their own packages say.
    """
    stacks = stacks.absolute()
    folder = stacks / "environments"
    if not folder.is_dir():
        raise UsageError(f"{stacks} holds no environments/; run in the project's top folder or give --stacks DIR")
    spec = environment.load(name, folder)
    for project in Project:
        for file in ("Pulumi.yaml", "__main__.py"):
            if not (stacks / project / file).is_file():
                raise UsageError(f"{stacks / project / file} is missing: {stacks} is no folder of trihull's stacks")
    if name != EMULATED:
        _refuse_emulators(name)
        found = engine.ensure(report)
        path = os.pathsep.join((str(found.folder), os.environ.get("PATH", os.defpath)))
        variables = {**os.environ, "PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        return Context(spec, stacks, Documents(folder, name), found.path, variables, None)
    found = engine.ensure(report)
    from trihull_infra.emulators import client

    daemon = client.start()
    variables = {**os.environ, **client.environment(found.folder)}
    return Context(spec, stacks, Documents(folder, name), found.path, variables, str(daemon.epoch))


def chosen(spec: Environment, clouds: tuple[str, ...]) -> tuple[Cloud, ...]:
    """Return the clouds that were asked for, all of the environment's when none was; raises UsageError."""
    wanted = tuple(Cloud(cloud) for cloud in clouds) or spec.clouds
    for cloud in wanted:
        if cloud not in spec.clouds:
            raise UsageError(f"environment {spec.name} has no site on {cloud}; it has {', '.join(spec.clouds)}")
    return tuple(cloud for cloud in spec.clouds if cloud in wanted)


def confirm(spec: Environment, yes: bool, command: str) -> None:
    """Ask for `--yes` where the environment is protected; raises UsageError."""
    if spec.protect and not yes:
        raise UsageError(f"environment {spec.name} is protected: say `trihull {command} {spec.name} --yes`")


def _refuse_emulators(name: str) -> None:
    home = str(paths.state_home())
    backend = os.environ.get("PULUMI_BACKEND_URL", "")
    on_path = any(part.startswith(home) for part in os.environ.get("PATH", "").split(os.pathsep))
    if on_path or backend.startswith(f"file://{home}"):
        raise UsageError(
            f"this shell is set up for the emulators (`trihull emulators env`), and {name} is real: open another shell"
        )


def _epochs() -> Path:
    return paths.state_home() / "deploy" / "epochs.json"


def _read_epochs() -> dict[str, str]:
    try:
        value = json.loads(_epochs().read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DeployError(f"{_epochs()} cannot be read ({error}); remove it and try again") from error
    return {str(key): str(epoch) for key, epoch in value.items()} if isinstance(value, dict) else {}
