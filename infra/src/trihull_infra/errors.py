"""Errors of infra; all carry their exit code.

TrihullError (trihull_runtime.errors)
├── SpecError             65  an environment file does not say what is needed
├── EngineError           69  the Pulumi engine is not to be had
├── EmulatorError         69  the emulators are not running, or refuse
├── DeployError            1  a stack failed; the others went on
└── DrillError             3  a drill lost a request or got a wrong answer
"""

from trihull_runtime.errors import TrihullError


class SpecError(TrihullError, ValueError):
    """An environment file does not say what is needed; the message names file, key and what was expected."""

    exit_code = 65


class EngineError(TrihullError):
    """The Pulumi engine is not to be had; the message says what was tried and what to install."""

    exit_code = 69


class EmulatorError(TrihullError):
    """The emulators are not running, or refuse what was asked."""

    exit_code = 69


class DeployError(TrihullError):
    """At least one stack failed; the others went on and running again completes."""

    exit_code = 1


class DrillError(TrihullError):
    """A drill lost a request, got a wrong answer, or traffic did not come back."""

    exit_code = 3
