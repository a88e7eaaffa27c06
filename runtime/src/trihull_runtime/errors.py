"""Errors of the runtime, and the base of every member's.

TrihullError (contract)   exit code 1
├── ContractError         65  a document is not what its contract asks for
├── UsageError            64  the command line asks for something that cannot be
├── InputError            65  a file, a model or an answer is not what it should be
├── UnavailableError      69  something needed is not there: a port, a tool, a server
├── LostError              3  a check ran and failed: a request was lost, an answer was wrong
└── InternalError         70  a bug of ours
"""

from trihull_runtime.contract.errors import ContractError, TrihullError

__all__ = [
    "ContractError",
    "InputError",
    "InternalError",
    "LostError",
    "TrihullError",
    "UnavailableError",
    "UsageError",
]


class UsageError(TrihullError):
    """The command line asks for something that cannot be (EX_USAGE)."""

    exit_code = 64


class InputError(TrihullError):
    """A file, a model or an answer is not what it should be (EX_DATAERR)."""

    exit_code = 65


class UnavailableError(TrihullError):
    """Something needed is not there: a port, a tool, a server (EX_UNAVAILABLE). Trying later may help."""

    exit_code = 69


class LostError(TrihullError):
    """A check ran and failed: a request was lost, an answer was wrong, a gate was not met."""

    exit_code = 3


class InternalError(TrihullError):
    """Something that cannot happen did: a bug of ours (EX_SOFTWARE)."""

    exit_code = 70
