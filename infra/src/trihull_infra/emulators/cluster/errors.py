"""The one error of local clusters.

EmulatorError (trihull_infra.errors)   exit code 69
└── ClusterError
    ├── ImageError       an image cannot be run: no such layout, wrong digest, not a digest reference
    └── MissingError     something a pod refers to is not there (yet): a ConfigMap, a Secret, a key
"""

from trihull_infra.errors import EmulatorError


class ClusterError(EmulatorError):
    """A local cluster refuses what was asked, or could not do it; the message says what, why and what to do next."""


class ImageError(ClusterError):
    """An image cannot be run: its layout is not there, its digest is wrong, or the reference is not by digest."""


class MissingError(ClusterError):
    """A pod refers to a ConfigMap, a Secret or a key that is not there; it starts once that is applied."""
