"""The registries of an environment's sites, for whoever publishes to them (entry-point group `trihull.registries`)."""

from collections.abc import Mapping
from pathlib import Path

from trihull_infra.deploy import context, display
from trihull_infra.deploy.flow import Flow
from trihull_infra.errors import DeployError
from trihull_runtime.errors import TrihullError


def of_environment(environment: str, stacks: Path) -> Mapping[str, str | TrihullError]:
    """Return site -> its registry as the site's stack gave it, or the error that says why it is not known.

    Raises:
        UsageError, SpecError: there is no such environment.
        EngineError, EmulatorError: as their own packages say.
    """
    shown = display.make()
    opened = context.open_context(environment, stacks, lambda line: shown.note(f"engine: {line}"))
    flow = Flow(opened, opened.environment.clouds, shown, "publish")
    known = flow.sites()
    return {
        cloud.value: known[cloud].registry
        if cloud in known
        else DeployError(f"the site {opened.stack(cloud)} gives no registry; run `trihull up {environment}`")
        for cloud in opened.environment.clouds
    }
