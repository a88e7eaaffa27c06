"""Errors of the router.

TrihullError (trihull_runtime.errors)
├── RouterError           65  a fleet that cannot be routed: the running configuration stays
└── EnvoyError            69  Envoy is missing, does not start, or does not answer
"""

from trihull_runtime.errors import TrihullError


class RouterError(TrihullError, ValueError):
    """A fleet, a policy or an order that cannot be routed; what runs stays as it is."""

    exit_code = 65


class EnvoyError(TrihullError):
    """Envoy is missing, does not start, or does not answer."""

    exit_code = 69
