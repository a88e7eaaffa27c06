"""Every program, on every cloud, in preview and in update, against what the SDKs know and what we promise."""

from pathlib import Path

import pytest

from tests.forking import Ask
from tests.parity import mocks
from tests.parity.conftest import PROGRAMS, Run
from tests.parity.imports import SDKS
from tests.parity.mocks import Recording, Secret
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.plugins import values
from trihull_infra.emulators.recorder.checks import check
from trihull_infra.emulators.recorder.facts import facts
from trihull_infra.environment import Environment
from trihull_infra.provider import capabilities
from trihull_runtime.contract import ServingOutputs, SiteOutputs
from trihull_runtime.contract.site import SECRET_FIELDS


@pytest.fixture(params=list(PROGRAMS))
def project(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recording(run: Run, project: str, name: str, cloud: Cloud, preview: bool) -> Recording:
    return run(project, f"{name}-{cloud}", preview)


def test_arguments_conform_to_the_sdk(recording: Recording) -> None:
    assert conforming(recording) > 6


def test_every_resource_has_the_explicit_provider(recording: Recording) -> None:
    assert_explicit_providers(recording)


def conforming(recording: Recording) -> int:
    """Check the arguments of every resource against the SDK; returns how many were checked."""
    checked = 0
    for one in recording.resources:
        if one.custom and not one.type.startswith("pulumi:"):
            failures = check(facts(one.type), _marked(mocks.opened(one.inputs)))
            assert not failures, f"{one.type} {one.name}: {[failure.reason for failure in failures]}"
            checked += 1
    return checked


def assert_explicit_providers(recording: Recording) -> None:
    """Every resource and every call goes through a provider that the program made."""
    providers = {f"urn:pulumi:stack::project::{one.type}::{one.name}" for one in recording.resources if _provides(one)}
    for one in recording.resources:
        if one.custom and not _provides(one):
            assert one.provider.rpartition("::")[0] in providers, f"{one.type} {one.name} uses {one.provider!r}"
    for token, _, provider in recording.invokes:
        assert provider.rpartition("::")[0] in providers, f"{token} uses {provider!r}"


def test_preview_and_update_register_the_same(run: Run, project: str, name: str, cloud: Cloud) -> None:
    def registered(preview: bool) -> set[tuple[str, str]]:
        return {(one.type, one.name) for one in run(project, f"{name}-{cloud}", preview).resources}

    assert registered(True) == registered(False)


def test_no_secret_is_exported_or_registered_in_the_clear(recording: Recording, project: str) -> None:
    assert mocks.KEY not in str(_without_secrets(recording.exports))
    for one in recording.resources:
        assert mocks.KEY not in str(_without_secrets(one.inputs)), f"{one.type} {one.name} holds a key in the clear"
    if project == "site":
        for field in SECRET_FIELDS:
            value = recording.exports[field]
            assert isinstance(value, Secret) or value == mocks.UNKNOWN, f"{field} is exported in the clear"


def test_site_exports_its_contract(run: Run, name: str, cloud: Cloud) -> None:
    outputs = SiteOutputs.from_value(mocks.opened(run("site", f"{name}-{cloud}").exports))
    assert (outputs.environment, outputs.cloud) == (name, str(cloud))
    agents = {"node-autoscaler"} if capabilities(cloud).node_autoscaler else set()
    assert set(outputs.identities) == {"serving", "router", *agents}


def test_serving_exports_its_contract(run: Run, name: str, cloud: Cloud) -> None:
    outputs = ServingOutputs.from_value(mocks.opened(run("serving", f"{name}-{cloud}").exports))
    assert outputs.endpoint.url == "https://192.0.2.7:8080"
    assert outputs.endpoint.server_name == f"serving.{cloud}.{name}.trihull.internal"
    assert outputs.models["digits"].version == "1.2"


def test_routing_exports_where_it_answers(run: Run, name: str, cloud: Cloud, spec: Environment) -> None:
    url = f"{spec.routing.scheme}://192.0.2.7:8080"
    assert run("routing", f"{name}-{cloud}").exports == {"endpoint": {"url": url}}


@pytest.mark.parametrize("project", list(PROGRAMS))
def test_preview_of_one_cloud_imports_no_other_sdk(imports: Ask, projects: Path, project: str, cloud: Cloud) -> None:
    found = imports({"project": project, "folder": str(projects / project), "stack": f"local-{cloud}"}, 100)
    assert found == {"before": [], "after": [SDKS[cloud]] if project == "site" and cloud in SDKS else []}


def _provides(one: mocks.Resource) -> bool:
    return one.type.startswith("pulumi:providers:")


def _without_secrets(value: object) -> object:
    if isinstance(value, Secret):
        return "<secret>"
    if isinstance(value, dict):
        return {key: _without_secrets(item) for key, item in value.items()}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value


def _marked(value: object) -> dict[str, object]:
    """Return inputs with the unknown values as the checks know them."""

    def mark(item: object) -> object:
        if item == mocks.UNKNOWN:
            return values.UNKNOWN
        if isinstance(item, dict):
            return {key: mark(inner) for key, inner in item.items()}
        return [mark(inner) for inner in item] if isinstance(item, list) else item

    marked = mark(value)
    assert isinstance(marked, dict)
    return marked
