"""What a stack's process is asked to do and what it answers: plain values that travel as JSON."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trihull_infra.cloud import Cloud


class Project(enum.StrEnum):
    """The Pulumi projects of an environment, in the order they are brought up; values are folders of `stacks/`."""

    SITE = "site"
    SERVING = "serving"
    ROUTING = "routing"
    DNS = "dns"

    @property
    def whole(self) -> bool:
        """Whether one stack, called like the environment, serves all its sites; the others have one for each cloud."""
        return self is Project.DNS


class Action(enum.StrEnum):
    """What is done with a stack; OUTPUTS only reads what it gave last time."""

    UP = "up"
    PREVIEW = "preview"
    REFRESH = "refresh"
    DESTROY = "destroy"
    OUTPUTS = "outputs"


@dataclass(frozen=True)
class Task:
    """One stack and what to do with it.

    `cloud` is where its resources are: the site's, or of a project for the whole environment the one that hosts it.
    `refresh` reads the cloud first; `clear_pending` forgets what was being made when an earlier run was killed;
    `remove` also removes the stack after a destroy; `emulated` allows what is only right where nothing is real;
    `show_secrets` gives the outputs' secrets in clear.
    """

    cloud: Cloud
    project: Project
    stack: str
    action: Action
    folder: Path
    engine: Path
    environment: Mapping[str, str]
    refresh: bool = False
    clear_pending: bool = False
    remove: bool = False
    emulated: bool = False
    show_secrets: bool = False

    @property
    def title(self) -> str:
        """How it is called in progress and messages: `aws site`, or `dns`, which is no cloud's."""
        return str(self.project) if self.project.whole else f"{self.cloud} {self.project}"


@dataclass(frozen=True)
class Diagnostic:
    """Something the engine or the program said: `urn` names the resource, when it was about one."""

    severity: str
    message: str
    urn: str = ""

    def __str__(self) -> str:
        """Return one text, the resource first."""
        return f"{self.urn}: {self.message}" if self.urn else self.message


@dataclass(frozen=True)
class Result:
    """How it went. `changes` counts operations (create, update, same ...); secrets in `outputs` are masked, as a rule.

    `outputs` is None when the stack does not exist. `problem` is empty when all went well; `stopped` says that it was
    asked to stop.
    """

    title: str
    seconds: float
    changes: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, Any] | None = None
    problem: str = ""
    stopped: bool = False

    @property
    def ok(self) -> bool:
        """Whether the stack is as it was asked for."""
        return not self.problem

    @property
    def changed(self) -> int:
        """How many resources changed, or would."""
        return sum(count for operation, count in self.changes.items() if operation not in ("same", "read", "refresh"))


def changes_text(changes: Mapping[str, int]) -> str:
    """Return `3 create, 12 same`; `nothing` when there is nothing."""
    return ", ".join(f"{count} {operation}" for operation, count in sorted(changes.items())) or "nothing"


def type_text(token: str) -> str:
    """Shorten a type token: `aws:s3/bucket:Bucket` -> `aws:s3:Bucket`."""
    package, _, rest = token.partition(":")
    module, _, name = rest.partition(":")
    return ":".join((package, module.split("/")[0], name)) if name else token


def urn_name(urn: str) -> str:
    """Return a resource's logical name, the last part of its URN."""
    return urn.rsplit("::", 1)[-1]
