"""Neither side can ever touch the other's: what an emulated plugin refuses, in one place."""

from collections.abc import Mapping
from typing import Any, Final

from trihull_infra.cloud import Cloud
from trihull_infra.emulated import ACCOUNTS, ENVIRONMENT
from trihull_infra.emulators.plugins.values import UNKNOWN
from trihull_infra.errors import EmulatorError

ACCOUNT: Final = ACCOUNTS[Cloud.AWS]
PROJECT: Final = ACCOUNTS[Cloud.GCP]
SUBSCRIPTION: Final = ACCOUNTS[Cloud.AZURE]
STACK_PREFIX: Final = f"{ENVIRONMENT}-"


class GuardError(EmulatorError):
    """An emulated plugin was asked to serve something that may be meant for a real cloud."""


def stack(name: str) -> None:
    """Refuse any stack that is not `local` or `local-*`."""
    if name != ENVIRONMENT and not name.startswith(STACK_PREFIX):
        raise GuardError(
            f"stack {name!r} is not emulated: the emulators serve only stacks named {ENVIRONMENT} or {STACK_PREFIX}*; "
            "open a shell without `trihull emulators env` to deploy it to a real cloud"
        )


def aws(configuration: Mapping[str, Any]) -> None:
    """Refuse an AWS provider that does not allow the emulated account, and it alone."""
    allowed = configuration.get("allowedAccountIds")
    if allowed is UNKNOWN or allowed != [ACCOUNT]:
        raise GuardError(
            f"the AWS provider allows the accounts {_said(allowed)}, but the emulated account is {ACCOUNT}: "
            f'set aws:allowedAccountIds to ["{ACCOUNT}"] in this stack\'s configuration'
        )


def gcp(configuration: Mapping[str, Any]) -> None:
    """Refuse a Google Cloud provider of any project but the emulated one."""
    project = configuration.get("project")
    if project != PROJECT:
        raise GuardError(
            f"the Google Cloud provider is set to project {_said(project)}, but the emulated project is {PROJECT}: "
            f"set gcp:project to {PROJECT} in this stack's configuration"
        )


def azure(configuration: Mapping[str, Any]) -> None:
    """Refuse an Azure provider of any subscription but the emulated one."""
    subscription = configuration.get("subscriptionId")
    if subscription != SUBSCRIPTION:
        raise GuardError(
            f"the Azure provider is set to subscription {_said(subscription)}, but the emulated one is {SUBSCRIPTION}: "
            f"set azure-native:subscriptionId to {SUBSCRIPTION} in this stack's configuration"
        )


def _said(value: Any) -> str:
    return "(none)" if value in (None, UNKNOWN) else str(value)
