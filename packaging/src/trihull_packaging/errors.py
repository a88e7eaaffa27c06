"""Errors of packaging; all carry their exit code.

TrihullError (trihull_runtime.errors)
├── SpecError     65  model.yaml, or a file it names, does not say what is needed
├── LockError     65  model.lock does not fit: stale, or what it pins is not what is there
├── StepError     65  training or conversion failed: the model's own code or file is at fault
├── ToolError     69  a tool or the network is not to be had
├── GateError      3  the checks ran and the model did not pass: parity or evaluation
└── RebuiltError   3  a rebuild of a release gave another image
"""

from trihull_runtime.errors import InputError, LostError, UnavailableError


class SpecError(InputError):
    """model.yaml, or a file it names, does not say what is needed; the message names file and key."""


class LockError(InputError):
    """model.lock does not fit; the message says what has changed and how to make it anew."""


class StepError(InputError):
    """Training or conversion failed: the model's own code or its file is at fault."""


class ToolError(UnavailableError):
    """A tool or the network is not to be had; the message says what to install or to try."""


class GateError(LostError):
    """The checks ran and the model did not pass; no release was written."""


class RebuiltError(LostError):
    """A rebuild of a release gave another image; the message says where they differ."""
