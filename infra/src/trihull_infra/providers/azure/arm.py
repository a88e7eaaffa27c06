"""Azure's ids of resources: what `existing` names is taken apart by them, and ids that follow from others are composed.

An id is `/subscriptions/<id>/resourceGroups/<group>/providers/<namespace>/<type>/<name>`.
"""

from typing import NamedTuple


class ArmId(NamedTuple):
    """What an id says of a resource: the group that it lies in and its own name."""

    group: str
    name: str


def parsed(resource_id: str) -> ArmId:
    """Return group and name of a resource by its full id; spec.py has checked its form."""
    parts = resource_id.split("/")
    return ArmId(parts[4], parts[-1])
