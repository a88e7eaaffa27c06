"""The Pulumi engine: found where the user has it, else taken from the cache, installed, or built from pinned source.

Order: `pulumi` on PATH, the per-user cache, the official installer, `go build` from the `go.mod` and `go.sum` beside
this package. What was installed or built lies in the cache with a receipt of its digests; a receipt is the last thing
written before the folder is renamed into place, so a half-built engine is never found.
"""

from trihull_infra.engine.finding import Engine, ensure, find
from trihull_infra.engine.versions import VERSION

__all__ = ["VERSION", "Engine", "ensure", "find"]
