"""What programs refuse before anything is registered, and how they say so."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import released
from tests.parity import mocks
from tests.parity.conftest import RELEASE, write_documents, write_release
from trihull_infra import environment, routing, serving, site
from trihull_infra.cloud import Cloud
from trihull_infra.errors import SpecError
from trihull_infra.program import Program
from trihull_infra.workload import fingerprint, image_reference, part
from trihull_runtime.artifacts.evidence.statement import GATE

REPOSITORY = Path(__file__).parents[4]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_.*")


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[Path]:
    """Projects beside their environments, the current folder in one of them."""
    environments = tmp_path / "environments"
    environments.mkdir()
    for name in ("local", "dev"):
        source = REPOSITORY / "stacks" / "environments" / f"{name}.yaml"
        (environments / source.name).write_bytes(source.read_bytes())
    write_documents(environments, "local")
    write_release(tmp_path / "release")
    (tmp_path / "project").mkdir()
    before = Path.cwd()
    os.chdir(tmp_path / "project")
    yield tmp_path
    os.chdir(before)


def outputs(**changes: Any) -> dict[str, dict[str, Any]]:
    known = {
        "kubeconfig": "{}",
        "cluster_name": "trihull-local",
        "registry": "registry.example/images",
        "identities": {"serving": {}, "router": {}},
        "serving_certificate": mocks.PEM,
        "serving_key": mocks.KEY,
        "router_certificate": mocks.PEM,
        "router_key": mocks.KEY,
    }
    known = {key: value for key, value in {**known, **changes}.items() if value is not None}
    return {"organization/trihull-site/local-aws": known}


def run(program: Callable[[], None], stack: str = "local-aws", **options: Any) -> mocks.Recording:
    return mocks.run(program, project="p", stack=stack, **{"preview": False, "references": outputs(), **options})


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("program", [site.run, serving.run, routing.run])
@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("local", "stack 'local': expected <environment>-<cloud>, such as local-aws"),
        ("local-ibm", "stack 'local-ibm': 'ibm' is no known cloud; expected one of aws, gcp, azure"),
        ("nowhere-aws", "there is no environment 'nowhere'; environments here: dev, local"),
        ("dev-gcp", "dev.yaml: clouds.gcp: is missing; this environment has aws"),
    ],
)
@pytest.mark.usefixtures("stacks")
def test_a_stack_of_another_form_is_refused(program: Callable[[], None], stack: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        run(program, stack)
    assert expected in str(caught.value)


@pytest.mark.parametrize(("program", "document"), [(serving.run, "releases"), (serving.run, "fleet"),
                                                   (routing.run, "releases"), (routing.run, "fleet")])  # fmt: skip
def test_a_missing_document_is_named_with_the_command_that_writes_it(
    stacks: Path, program: Callable[[], None], document: str
) -> None:
    (stacks / "environments" / f"local.{document}.json").unlink()
    with pytest.raises(SpecError) as caught:
        run(program)
    assert f"local.{document}.json: is not there" in str(caught.value)
    assert f"trihull {'fleet' if document == 'fleet' else 'release'} local" in str(caught.value)


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize("program", [serving.run, routing.run])
@pytest.mark.usefixtures("stacks")
def test_a_site_that_was_not_deployed_is_named(program: Callable[[], None], preview: bool) -> None:
    with pytest.raises(Exception, match="deploy the site first: `trihull up local`"):
        run(program, preview=preview, references=outputs(kubeconfig=None))


def test_several_models_are_refused_for_one_endpoint(stacks: Path) -> None:
    path = stacks / "environments" / "local.releases.json"

    def add(value: dict[str, Any]) -> None:
        value["models"]["iris"] = value["models"]["digits"]
        value["accepted"]["iris"] = [RELEASE]

    edit(path, add)
    with pytest.raises(SpecError, match=r"models: names digits, iris for aws; expected exactly one"):
        run(serving.run)


def test_a_site_without_a_model_is_refused(stacks: Path) -> None:
    edit(stacks / "environments" / "local.releases.json", lambda value: value["models"]["digits"].pop("aws"))
    with pytest.raises(SpecError, match=r"names no model for aws"):
        run(serving.run)


def test_another_release_than_the_one_released_is_refused(stacks: Path) -> None:
    write_release(stacks / "release", release_digest=f"sha256:{'d' * 64}")
    with pytest.raises(SpecError, match=r"is release sha256:ddd.*package it again, or release what there is"):
        run(serving.run)


def test_serving_refuses_a_digest_without_a_passed_gate_where_that_is_demanded(stacks: Path) -> None:
    file = stacks / "environments" / "local.yaml"
    file.write_text(f"{file.read_text()}\nreleases: {{require_gate: true}}\n")
    with pytest.raises(SpecError, match=r"release\.json: digits may not be served in local.*is not an OCI layout"):
        run(serving.run)
    made = released.make(stacks / "made")
    digests = {"release_digest": made.release.release_digest, "index_digest": made.digest}

    def serve(value: dict[str, Any]) -> None:
        value["models"]["digits"]["aws"].update(digests, path="../made/release.json")
        value["accepted"]["digits"].append(made.release.release_digest)

    edit(stacks / "environments" / "local.releases.json", serve)
    assert run(serving.run).exports["models"]["digits"]["release_digest"] == made.release.release_digest
    made.remove(GATE)
    with pytest.raises(SpecError, match=f"there is none for {made.digest}"):
        run(serving.run)


def test_a_router_that_was_not_released_is_refused(stacks: Path) -> None:
    edit(stacks / "environments" / "local.releases.json", lambda value: value.update(router=None))
    with pytest.raises(SpecError, match=r"router: is missing; name one with `trihull release local --router"):
        run(routing.run)


def test_a_fleet_without_the_own_sites_certificate_is_refused(stacks: Path) -> None:
    edit(stacks / "environments" / "local.fleet.json", lambda value: value["sites"][0].update(ca_certificate=None))
    with pytest.raises(SpecError, match=r"sites: aws has no ca_certificate; bring the site up"):
        run(serving.run)


def test_a_site_without_certificate_elsewhere_does_not_stop_this_one(stacks: Path) -> None:
    edit(stacks / "environments" / "local.fleet.json", lambda value: value["sites"][2].update(ca_certificate=None))
    begun = Program(environment.load("local", stacks / "environments"), Cloud.AWS, stacks / "environments")
    assert serving.authorities(begun).count("BEGIN CERTIFICATE") == len(Cloud) - 1


def test_a_load_balancer_without_address_ends_the_program(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {**mocks.COMPUTED, "kubernetes:core/v1:Service": lambda *_: {"status": {"loadBalancer": {}}}}
    monkeypatch.setattr(mocks, "COMPUTED", given)
    with pytest.raises(Exception, match="gave the load balancer no address"):
        run(serving.run)


@pytest.mark.parametrize(
    ("ingress", "url"),
    [
        ({"ip": "192.0.2.1"}, "https://192.0.2.1:8080"),
        ({"hostname": "lb.example"}, "https://lb.example:8080"),
        ({"ip": "2001:db8::1"}, "https://[2001:db8::1]:8080"),
        ({"ip": "127.0.0.1", "ports": [{"port": 18123, "protocol": "TCP"}]}, "https://127.0.0.1:18123"),
    ],
)
@pytest.mark.usefixtures("stacks")
def test_the_endpoint_is_where_the_cluster_says(
    monkeypatch: pytest.MonkeyPatch, ingress: dict[str, Any], url: str
) -> None:
    status = {"status": {"loadBalancer": {"ingress": [ingress]}}}
    monkeypatch.setattr(mocks, "COMPUTED", {**mocks.COMPUTED, "kubernetes:core/v1:Service": lambda *_: status})
    assert run(serving.run).exports["endpoint"]["url"] == url


def test_image_references_are_registry_and_digest() -> None:
    assert image_reference("oci-layout:///a/b", RELEASE) == f"oci-layout:///a/b@{RELEASE}"
    assert image_reference("host/path", RELEASE) == f"host/path@{RELEASE}"


def test_what_an_account_needs_is_told_apart() -> None:
    needs = {"annotations.a/b": "1", "labels.c/d": "2"}
    assert part(needs, "annotations") == {"a/b": "1"}
    assert part(needs, "labels") == {"c/d": "2"}


def test_fingerprints_tell_texts_apart() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
