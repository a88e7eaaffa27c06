"""Errors of artifacts.

TrihullError (trihull_runtime.errors)
├── LayoutError           65  an OCI layout or an image in it is not what it should be
├── EvidenceError          3  the evidence of a release does not hold: a link of the chain is broken
└── RegistryError         69  a registry cannot be reached, refuses, or gives what was not asked for
    ├── DeniedError       69  it wants other credentials
    └── ContentError      69  it answers, and what it gives is missing, damaged or something else
"""

from trihull_runtime.errors import InputError, LostError, UnavailableError


class LayoutError(InputError):
    """An OCI layout, or an image in it, is damaged, hostile or not there; nothing was written outside its target."""


class EvidenceError(LostError):
    """The evidence of a release does not hold; the message names the broken link."""


class RegistryError(UnavailableError):
    """A registry cannot be reached, refuses, or gives what was not asked for; retries, where they help, are used up."""


class DeniedError(RegistryError):
    """A registry wants other credentials; the message says which were used and where they came from."""


class ContentError(RegistryError):
    """A registry answers, and what it gives is missing, damaged or something else than what was asked for."""
