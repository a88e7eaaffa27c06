"""What a command did: steps of clouds, and the documents that came of them."""

from dataclasses import dataclass, field
from typing import Any

from trihull_infra.cloud import Cloud
from trihull_infra.deploy.pages import RouterPage
from trihull_infra.deploy.stacks import Result
from trihull_runtime.contract import Fleet


@dataclass(frozen=True)
class Step:
    """One thing that was done for one cloud: a stack (`project` is its name), or `publish`, or `ready`.

    `cloud` is None for what is done once for the whole environment, such as `dns`.
    """

    cloud: Cloud | None
    project: str
    result: Result

    @property
    def title(self) -> str:
        """How it is called in tables and messages: `aws site`, or `dns`."""
        return f"{self.cloud} {self.project}" if self.cloud is not None else self.project

    def to_value(self) -> dict[str, Any]:
        """Return plain values for `--json`."""
        result = self.result
        return {
            "cloud": self.cloud.value if self.cloud is not None else None,
            "step": self.project,
            "ok": result.ok,
            "changes": dict(result.changes),
            "seconds": round(result.seconds, 3),
            "problem": result.problem or None,
        }


@dataclass
class Report:
    """What a command did, step by step, and what it found out."""

    environment: str
    action: str
    steps: list[Step] = field(default_factory=list)
    fleet: Fleet | None = None
    routers: dict[str, str] = field(default_factory=dict)
    pages: dict[str, RouterPage] = field(default_factory=dict)
    stopped: int | None = None

    @property
    def failed(self) -> list[Step]:
        """The steps that failed."""
        return [step for step in self.steps if not step.result.ok]

    @property
    def changed(self) -> int:
        """How many resources changed, or would."""
        return sum(step.result.changed for step in self.steps)

    def ok(self, cloud: Cloud) -> bool:
        """Tell whether nothing failed for a cloud so far."""
        return all(step.result.ok for step in self.steps if step.cloud is cloud)

    def to_value(self) -> dict[str, Any]:
        """Return plain values for `--json`."""
        return {
            "version": 1,
            "environment": self.environment,
            "action": self.action,
            "ok": not self.failed and self.stopped is None,
            "steps": [step.to_value() for step in self.steps],
            "fleet": self.fleet.to_value() if self.fleet is not None else None,
            "routers": self.routers,
            "pages": {site: page.to_value() for site, page in self.pages.items()},
        }
