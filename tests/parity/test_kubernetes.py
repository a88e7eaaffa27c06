"""A cluster that is there already: nothing is provisioned, the same is served, and what it lacks is declared."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.conftest import KUBECONFIG, ON_PREMISES, Run
from trihull_infra import provider, specs
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment, load
from trihull_infra.errors import SpecError
from trihull_infra.provider import Properties, capabilities
from trihull_runtime.contract import SiteOutputs

HERE = Cloud.KUBERNETES


@pytest.fixture
def site(run: Run, name: str, preview: bool) -> mocks.Recording:
    return run("site", f"{name}-{HERE}", preview)


def test_nothing_is_provisioned(site: mocks.Recording) -> None:
    assert not specs.provisions(HERE)
    made = {one.type.partition(":")[0] for one in site.resources if one.custom}
    assert made == {"pulumi", "tls"}, "certificates are the site's own wherever it stands"
    assert site.invokes == []


def test_the_parts_are_the_same_components_as_on_any_cloud(site: mocks.Recording) -> None:
    files = ("network", "keys", "logs", "cluster", "pools", "registry", "bucket", "identity", "certificates")
    kinds = sorted(one.type for one in site.resources if not one.custom)
    assert kinds == sorted(f"trihull:{file}:{file.capitalize()}" for file in files)


def test_the_engine_provider_knows_one_context_and_no_other(site: mocks.Recording) -> None:
    connection = site.the("pulumi:providers:kubernetes").inputs
    assert isinstance(connection["kubeconfig"], mocks.Secret)
    assert connection["context"] == "on-premises"
    document = json.loads(mocks.opened(connection["kubeconfig"]))
    assert [context["name"] for context in document["contexts"]] == ["on-premises"]
    assert document["current-context"] == "on-premises" != KUBECONFIG["current-context"]


def test_the_site_gives_what_the_environment_names(run: Run, name: str, spec: Environment) -> None:
    outputs = SiteOutputs.from_value(mocks.opened(run("site", f"{name}-{HERE}").exports))
    assert outputs.cluster_name == "on-premises"
    assert outputs.registry == "registry.example.com/models"
    assert outputs.bucket == "s3://evidence"
    assert outputs.residency == spec.site(HERE).residency
    assert outputs.node_pools == ()
    assert outputs.identities == {"serving": {}, "router": {}}
    assert outputs.deployer == {}
    (user,) = json.loads(outputs.kubeconfig)["users"]
    assert user["user"]["exec"]["command"] == "login"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Properties)])
def test_all_that_is_not_known_is_said_to_be_absent_and_declared(run: Run, field: str) -> None:
    described = provider.load(HERE).describe(run("site", f"longestname1-{HERE}").registered)
    assert not getattr(described, field)
    assert len(capabilities(HERE).differs[field]) > 20


@pytest.mark.parametrize("project", ["serving", "routing"])
def test_pods_run_on_the_nodes_that_the_environment_chose(run: Run, project: str) -> None:
    def selected(name: str) -> Any:
        return run(project, f"{name}-{HERE}").the("kubernetes:apps/v1:Deployment").inputs["spec"]["template"]["spec"]

    assert selected("longestname1")["nodeSelector"] == {"example.com/models": "yes"}
    assert not selected("given").get("nodeSelector")


def test_pull_secrets_and_annotations_are_the_environments(spec: Environment, name: str) -> None:
    here, elsewhere = spec.site(HERE), spec.site(Cloud.AWS)
    asked = name == "longestname1"
    assert here.image_pull_secrets == (("registry-login",) if asked else ())
    assert here.load_balancer_annotations == ({"metallb.io/address-pool": "models"} if asked else {})
    assert elsewhere.image_pull_secrets == ()
    assert elsewhere.load_balancer_annotations == {}


@pytest.mark.parametrize("project", ["serving", "routing"])
def test_pods_pull_with_the_secret_and_the_load_balancer_is_told_what_it_wants(run: Run, project: str) -> None:
    for name, asked in (("longestname1", True), ("given", False)):
        recording = run(project, f"{name}-{HERE}")
        pod = mocks.opened(recording.the("kubernetes:apps/v1:Deployment").inputs)["spec"]["template"]["spec"]
        assert (pod.get("imagePullSecrets") or []) == ([{"name": "registry-login"}] if asked else [])
        service = recording.the("kubernetes:core/v1:Service").inputs["metadata"]
        annotations = {"metallb.io/address-pool": "models"} if asked else {}
        assert annotations.items() <= (service.get("annotations") or {}).items()
        assert "metallb.io/address-pool" not in (service.get("annotations") or {}) or asked


def environment_with(folder: Path, projects: Path, dns: str) -> Environment:
    text = (projects / "environments" / "local.yaml").read_text()
    before = text.index("\ndns:")
    (folder / "local.yaml").write_text(f"{text[:before]}\ndns: {dns}\n")
    return load("local", folder)


def test_a_cluster_hosts_no_zone(projects: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cloud: expected a cloud that can host a zone, aws, gcp, azure, found kuber"):
        environment_with(tmp_path, projects, "{cloud: kubernetes, zone: example.com, name: models.example.com}")
    hosted = environment_with(tmp_path, projects, "{cloud: aws, zone: Z0123456789, name: models.example.com}")
    assert hosted.dns is not None
    site = provider.Site(hosted, HERE)
    with pytest.raises(SpecError, match=r"local\.yaml: dns\.cloud: kubernetes hosts no zone of models\.example\.com"):
        provider.load(HERE).dns(site, hosted.dns, (), None)  # type: ignore[arg-type]  # refused before it is used


def test_a_context_that_is_gone_ends_the_program_before_anything_is_registered(
    projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trihull_infra import site as program

    (tmp_path / "environments").mkdir()
    (tmp_path / "site").mkdir()
    text = (projects / "environments" / "local.yaml").read_text()
    assert "context: on-premises" in ON_PREMISES
    (tmp_path / "environments" / "local.yaml").write_text(text.replace("context: on-premises", "context: gone"))
    (tmp_path / "kubeconfig.yaml").write_text(json.dumps(KUBECONFIG))
    monkeypatch.chdir(tmp_path / "site")
    with pytest.raises(SpecError, match=r"has no context 'gone'; contexts there: on-premises, other"):
        mocks.run(program.run, project="trihull-site", stack="local-kubernetes", preview=True)
