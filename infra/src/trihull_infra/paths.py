"""Where trihull keeps what lies outside a checkout: the runtime's rules, here for infra's own use."""

from trihull_runtime.paths import cache_home, state_home

__all__ = ["cache_home", "state_home"]
