"""Neither side can touch the other's."""

import pytest

from tests.emulated.conftest import Make, OperationError
from trihull_infra.emulators.client import Daemon


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_a_stack_of_another_environment_is_refused(cloud: str, stack: Make, daemon: Daemon) -> None:
    site = stack(f"prod-{cloud}", f"{cloud}_site", bucket="one-bucket")
    with pytest.raises(OperationError, match="the emulators serve only stacks named local or local-"):
        site.up()
    assert daemon.status()["resources"] == {}


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("aws_of_another_account", "the emulated account is 123456789012"),
        ("aws_of_any_account", r"allows the accounts \(none\)"),
        ("gcp_of_another_project", "the emulated project is trihull-local"),
        ("azure_of_another_subscription", "the emulated one is 00000000-0000-0000-0000-000000000000"),
        ("kubernetes_of_another_cluster", "https://203.0.113.9 is not an emulated cluster"),
        ("kubernetes_of_this_machine", "has no kubeconfig"),
    ],
)
def test_a_provider_of_anything_else_is_refused(program: str, said: str, stack: Make, daemon: Daemon) -> None:
    with pytest.raises(OperationError, match=said):
        stack("local-guard", program).up()
    assert daemon.status()["resources"] == {}
