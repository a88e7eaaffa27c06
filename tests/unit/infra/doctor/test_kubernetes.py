"""A cluster that is there already: what its kubeconfig says."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parity.conftest import KUBECONFIG
from tests.unit.infra.doctor.conftest import Asking, only
from trihull_infra.cloud import Cloud
from trihull_infra.doctor import kubernetes
from trihull_infra.doctor.findings import Status
from trihull_infra.doctor.seam import Asked
from trihull_infra.errors import SpecError


@pytest.fixture
def site(asked: Asking) -> Asked:
    found = asked(Cloud.KUBERNETES)
    (found.folder.parent / "kubeconfig.yaml").write_text(json.dumps(KUBECONFIG))
    return found


def test_the_context_is_named_and_its_login_program_must_be_here(
    site: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = only(kubernetes.credentials(site))
    assert (found.status, found.do) == (Status.FAILED, "install login")
    assert "https://on-premises.example" in found.seen
    program = tmp_path / "login"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert only(kubernetes.credentials(site)).status is Status.OK


def test_the_address_is_that_of_the_named_context_and_not_of_the_current_one(site: Asked) -> None:
    found = kubernetes.cluster(site)
    assert found is not None
    assert (found.host, found.port, found.ca_pem) == ("on-premises.example", 443, None)
    assert kubernetes.host(site) == "https://on-premises.example"


@pytest.mark.parametrize("function", [kubernetes.apis, kubernetes.quotas, kubernetes.offers, kubernetes.versions])
def test_what_its_owner_says_is_not_asked(site: Asked, function: Any) -> None:
    assert only(function(site)).status is Status.NOT_ASKED


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file"),
        ("[]", "is no kubeconfig"),
        ("{a", "is not valid YAML"),
        (json.dumps({**KUBECONFIG, "contexts": [KUBECONFIG["contexts"][1]]}), "no context 'on-premises'"),
        (json.dumps({**KUBECONFIG, "clusters": []}), "no cluster 'on-premises'"),
        (json.dumps(KUBECONFIG).replace("https://", "http://"), "begins with https://"),
    ],
)
def test_a_kubeconfig_that_is_wrong_is_told(site: Asked, content: str | None, said: str) -> None:
    path = site.folder.parent / "kubeconfig.yaml"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(SpecError) as caught:
        kubernetes.cluster(site)
    found = kubernetes.problem(caught.value)
    assert found.status is Status.FAILED
    assert said in found.seen
    assert "kubectl config get-contexts" in found.do


def test_a_user_without_credentials_is_a_warning(site: Asked) -> None:
    (site.folder.parent / "kubeconfig.yaml").write_text(json.dumps({**KUBECONFIG, "users": [{"name": "on-premises"}]}))
    assert only(kubernetes.credentials(site)).status is Status.WARNING


def test_an_error_of_another_kind_is_told_as_well() -> None:
    assert kubernetes.problem(SpecError("x")).seen == "x"
    assert kubernetes.problem(RuntimeError("x")).seen == "RuntimeError: x"
