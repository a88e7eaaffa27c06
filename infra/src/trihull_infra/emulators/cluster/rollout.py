"""Which pods a Deployment starts and stops next: a pure function of what is wanted and what is there.

Rolling updates are those of Kubernetes with maxSurge 1 and maxUnavailable 0: one new pod more than wanted, and an old
one goes only when a new one is available. Source: kubernetes pkg/controller/deployment/rolling.go describes the
cleanup limit; this is written from its description.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """A pod as the rollout sees it; in the order of creation."""

    name: str
    template_hash: str
    available: bool
    ending: bool


@dataclass(frozen=True)
class Step:
    """How many pods of the current template to start, and which pods to stop."""

    start: int
    stop: tuple[str, ...]


def plan(replicas: int, template_hash: str, members: Sequence[Member], *, recreate: bool = False) -> Step:
    """Decide the next step; when nothing is left to do, it is Step(0, ()).

    Args:
        replicas: how many pods shall run.
        template_hash: of the current template.
        members: all pods of the Deployment, oldest first, those that are ending too.
        recreate: stop all old pods before the first new one starts (strategy Recreate).
    """
    live = [member for member in members if not member.ending]
    new = [member for member in live if member.template_hash == template_hash]
    old = [member for member in live if member.template_hash != template_hash]
    excess = _worst_first(new)[: max(0, len(new) - replicas)]
    stop = [member.name for member in excess]
    if recreate:
        stop += [member.name for member in old]
        waiting = any(member.template_hash != template_hash for member in members)
        return Step(0 if waiting else max(0, replicas - len(new)), tuple(stop))
    room = replicas + (1 if old else 0) - len(live)
    start = max(0, min(replicas - len(new), room))
    kept = [member for member in new if member not in excess]
    limit = len(live) - len(excess) - replicas - sum(not member.available for member in kept)
    unhealthy = [member for member in old if not member.available][: max(0, limit)]
    available = sum(member.available for member in kept) + sum(member.available for member in old)
    spare = max(0, min(available - replicas, limit - len(unhealthy)))
    healthy = [member for member in old if member.available][:spare]
    return Step(start, tuple(stop + [member.name for member in unhealthy + healthy]))


def _worst_first(members: Sequence[Member]) -> list[Member]:
    """Order pods by how gladly they go: unavailable ones first, then the youngest."""
    youngest_first = list(reversed(members))
    return sorted(youngest_first, key=lambda member: member.available)
