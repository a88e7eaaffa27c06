"""Errors of artifacts.

TrihullError (trihull_runtime.errors)
└── LayoutError           65  an OCI layout or an image in it is not what it should be
"""

from trihull_runtime.errors import InputError


class LayoutError(InputError):
    """An OCI layout, or an image in it, is damaged, hostile or not there; nothing was written outside its target."""
