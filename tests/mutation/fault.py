"""A fault as data: a small mistake that a colleague could make, and the tests that must see it."""

import enum
from dataclasses import dataclass


class Area(enum.StrEnum):
    """Which part of the product a fault is in."""

    SERVER = "server"
    ARTIFACTS = "artifacts"
    PACKAGING = "packaging"
    ENVOY = "envoy"
    ROUTER = "router"
    SPEC = "spec"
    AWS = "aws"
    GCP = "gcp"
    AZURE = "azure"


PROVIDERS = frozenset({Area.AWS, Area.GCP, Area.AZURE})


@dataclass(frozen=True)
class Fault:
    """A change of one place in one file.

    Attributes:
        name: short and unique.
        area: the part of the product.
        file: below the repository.
        old: the text as it is, which must match exactly once.
        new: the text with the fault.
        breaks: what goes wrong where it is in force.
        tests: files or node ids of pytest that must fail; they run in seconds.
    """

    name: str
    area: Area
    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...]
