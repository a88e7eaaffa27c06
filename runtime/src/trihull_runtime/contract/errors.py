"""Errors of the contract.

TrihullError              what a person can act on; carries the exit code of the command line
└── ContractError         a document does not say what its contract asks for
"""


class TrihullError(Exception):
    """Base of every error that trihull raises on purpose.

    The message says what happened, to what, and what to do next; `exit_code` is what the command returns. Each member
    draws its own tree below this one in its `errors.py`.
    """

    exit_code = 1


class ContractError(TrihullError, ValueError):
    """A document is not what its contract asks for.

    Args:
        document: what was read: a file name, or the name of the document.
        path: the offending place, as `models.digits[0]`; empty for the document itself.
        problem: what is wrong there and what was expected.
    """

    exit_code = 65  # EX_DATAERR of sysexits.h: the input data was incorrect in some way

    def __init__(self, document: str, path: str, problem: str) -> None:
        """Join the three parts into one line."""
        self.document, self.path, self.problem = document, path, problem
        super().__init__(f"{document}: {path + ': ' if path else ''}{problem}")
