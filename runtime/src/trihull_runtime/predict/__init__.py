"""`trihull predict`: rows from a file through a V2 endpoint, compared with the bare model."""

from trihull_runtime.predict.command import command

__all__ = ["command"]
