"""What every program begins with: its stack's name says which environment and which cloud it is for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi

from trihull_infra import environment, parts
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment
from trihull_infra.errors import SpecError

ENVIRONMENTS: Final = parts.ENVIRONMENTS
SITE_PROJECT: Final = "trihull-site"


@dataclass(frozen=True)
class Program:
    """The environment and the cloud of the stack that runs, and the folder with the environment's documents."""

    environment: Environment
    cloud: Cloud
    folder: Path


def begin(folder: Path = ENVIRONMENTS) -> Program:
    """Read what the running stack is for from its name, `<environment>-<cloud>`.

    Raises:
        SpecError: the name is of another form, or names an unknown cloud, or the environment lacks that cloud.
    """
    stack = pulumi.get_stack()
    name, dash, cloud = stack.rpartition("-")
    if not dash or not name:
        raise SpecError(f"stack {stack!r}: expected <environment>-<cloud>, such as local-aws")
    if cloud not in list(Cloud):
        raise SpecError(f"stack {stack!r}: {cloud!r} is no known cloud; expected one of {', '.join(Cloud)}")
    loaded = environment.load(name, folder)
    loaded.site(Cloud(cloud))
    return Program(loaded, Cloud(cloud), folder)


def begin_whole(folder: Path = ENVIRONMENTS) -> Environment:
    """Read what the running stack is for from its name, which is the environment's: one stack for all its clouds.

    Raises:
        SpecError: there is no such environment.
    """
    return environment.load(pulumi.get_stack(), folder)


class SiteReference:
    """The outputs of this stack's site, told apart from a site that was not deployed yet."""

    def __init__(self, stack: str) -> None:
        """Refer to the site stack of the same name."""
        self._stack = stack
        self._reference = pulumi.StackReference("site", stack_name=f"organization/{SITE_PROJECT}/{stack}")

    def output(self, field: str) -> pulumi.Output[Any]:
        """Return one field of SiteOutputs; secrets stay secrets. Without it the program ends with a SpecError."""

        def check(value: Any) -> Any:
            if value is None:
                raise SpecError(
                    f"stack {self._stack} of {SITE_PROJECT} has no output {field!r}; deploy the site first: "
                    f"`trihull up {self._stack.rpartition('-')[0]}`, or `pulumi up` in stacks/site"
                )
            return value

        return self._reference.get_output(field).apply(check)
