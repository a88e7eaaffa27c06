"""Settings of the server: environment variables are the container's interface, the command line uses the same names."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trihull_runtime.errors import UsageError

DEFAULTS = {
    "TRIHULL_MODELS": "/models",
    "TRIHULL_HOST": "0.0.0.0",  # noqa: S104  a container's interface is the pod's own
    "TRIHULL_PORT_INFER": "8080",
    "TRIHULL_PORT_HEALTH": "8082",
    "TRIHULL_TLS": "",
    "TRIHULL_TLS_CHECK_S": "5",
    "TRIHULL_DRAIN_S": "30",
    "TRIHULL_DRAIN_GRACE_S": "5",
    "TRIHULL_MAX_IN_FLIGHT": "128",
    "TRIHULL_MAX_BODY_BYTES": str(8 * 1024 * 1024),
    "TRIHULL_INLINE_MS": "0.5",
}


@dataclass(frozen=True)
class Settings:
    """What the server needs to know.

    `models` is a folder of model folders or one model folder; `tls` a folder with `tls.crt`, `tls.key` and `ca.crt`, or
    None for plain HTTP, looked at for changes every `tls_check_s`. `drain_s` bounds the whole drain, of which
    `drain_grace_s` (at most half of it) passes before the listener closes, so that routers notice. A model whose
    estimated run is shorter than `inline_ms` runs in the event loop, else in a thread of its own.
    """

    models: Path
    host: str
    port_infer: int
    port_health: int
    tls: Path | None
    tls_check_s: float
    drain_s: float
    drain_grace_s: float
    max_in_flight: int
    max_body_bytes: int
    inline_ms: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; an empty variable counts as unset.

        Raises:
            UsageError: a variable is not a number or out of its bounds; the message names it.
        """
        given = os.environ if environment is None else environment
        values = {name: given.get(name) or default for name, default in DEFAULTS.items()}
        drain_s = _number(values, "TRIHULL_DRAIN_S", 0, 3600)
        return cls(
            models=Path(values["TRIHULL_MODELS"]),
            host=values["TRIHULL_HOST"],
            port_infer=int(_number(values, "TRIHULL_PORT_INFER", 1, 65535, whole=True)),
            port_health=int(_number(values, "TRIHULL_PORT_HEALTH", 1, 65535, whole=True)),
            tls=Path(values["TRIHULL_TLS"]) if values["TRIHULL_TLS"] else None,
            tls_check_s=_number(values, "TRIHULL_TLS_CHECK_S", 0.05, 3600),
            drain_s=drain_s,
            drain_grace_s=min(_number(values, "TRIHULL_DRAIN_GRACE_S", 0, 3600), drain_s / 2),
            max_in_flight=int(_number(values, "TRIHULL_MAX_IN_FLIGHT", 1, 1_000_000, whole=True)),
            max_body_bytes=int(_number(values, "TRIHULL_MAX_BODY_BYTES", 1, 2**40, whole=True)),
            inline_ms=_number(values, "TRIHULL_INLINE_MS", 0, 1e6),
        )


def _number(values: Mapping[str, str], name: str, minimum: float, maximum: float, whole: bool = False) -> float:
    kind = "a whole number" if whole else "a number"
    problem = f"{name} is {values[name]!r}; expected {kind} from {minimum:g} to {maximum:g}"
    try:
        value = int(values[name]) if whole else float(values[name])
    except ValueError as error:
        raise UsageError(problem) from error
    if not math.isfinite(value) or not minimum <= value <= maximum:
        raise UsageError(problem)
    return value
