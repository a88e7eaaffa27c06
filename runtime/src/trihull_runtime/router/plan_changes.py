"""What a new plan changes, in words: who took over from whom, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from trihull_runtime.router.health import SiteHealth
from trihull_runtime.router.plan import ModelPlan, TrafficPlan


@dataclass(frozen=True)
class Failover:
    """The site with the largest share of a model's requests is another one."""

    model: str
    residency_class: str | None
    origin: str
    target: str
    reason: str

    @property
    def message(self) -> str:
        """The sentence for people."""
        of = "" if self.residency_class is None else f" (class {self.residency_class})"
        return f"{self.model}{of}: {self.target} takes over from {self.origin}: {self.reason}"


def failovers(before: TrafficPlan, now: TrafficPlan, health: Mapping[str, SiteHealth]) -> list[Failover]:
    """Return what took over from what, in the order of the models."""
    earlier = {plan.key: plan for plan in before.models}
    found = []
    for plan in now.models:
        old = earlier.get(plan.key)
        origin, target = (None if old is None else _leader(old)), _leader(plan)
        if origin is None or target is None or origin == target:
            continue
        known = health.get(origin)
        reason = "the fleet, its rules or what was measured changed"
        if (plan.model, origin) in now.refused:
            reason = now.refused[plan.model, origin]
        elif origin in now.excluded:
            reason = f"it {now.excluded[origin]}"
        elif any(site.name == origin and site.draining for site in plan.sites):
            reason = "it is drained"
        elif known is not None and known.of(plan.model).reason:
            reason = known.of(plan.model).reason
        elif known is None or known.of(plan.model).up:
            reason = f"{target} is well again" if _was_ill(old, target) else reason
        found.append(Failover(plan.model, plan.residency_class, origin, target, reason))
    return found


def summary(plan: TrafficPlan) -> str:
    """Return a plan in one line: who gets which share of each model."""
    parts = [
        f"{model.key}: "
        + (", ".join(f"{name} {share} %" for name, share in model.shares.items() if share) or model.refusal)
        for model in plan.models
    ]
    return "; ".join(parts)


def _leader(plan: ModelPlan) -> str | None:
    sites = [site for site in plan.sites if site.share_percent]
    return max(sites, key=lambda site: (site.share_percent, site.name)).name if sites else None


def _was_ill(old: ModelPlan | None, site: str) -> bool:
    return old is not None and any(each.name == site and each.priority > 0 for each in old.sites)
