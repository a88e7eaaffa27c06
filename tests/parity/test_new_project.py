"""What `trihull init` writes can be deployed: filled in, each cloud's `dev` registers a site, in preview and update."""

import contextlib
import json
from pathlib import Path

import pytest

from tests.parity import mocks
from tests.parity.conftest import KUBECONFIG
from tests.unit.infra.init.test_init import filled
from trihull_infra import site
from trihull_infra.cloud import Cloud
from trihull_infra.init import writing


def test_dev_of_every_cloud_registers_a_site(
    cloud: Cloud, preview: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubeconfig.yaml").write_text(json.dumps(KUBECONFIG))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig.yaml"))
    project = tmp_path / "models"
    writing.write(project, cloud)
    dev = project / "stacks/environments/dev.yaml"
    dev.write_text(filled(dev.read_text()))
    with contextlib.chdir(project / "stacks/site"):
        recorded = mocks.run(site.run, project="trihull-site", stack=f"dev-{cloud}", preview=preview)
    assert recorded.exports["cloud"] == cloud
    kinds = {one.type.partition(":")[0] for one in recorded.registered}
    assert "tls" in kinds
    assert {"aws": "aws", "gcp": "gcp", "azure": "azure-native"}.get(cloud, "tls") in kinds


@pytest.mark.parametrize("stack", ["prod-aws", "prod-gcp", "prod-azure"])
def test_prod_as_it_is_shown_registers_a_site_on_every_cloud(stack: str, preview: bool, tmp_path: Path) -> None:
    project = tmp_path / "models"
    writing.write(project, Cloud.AWS)
    environments = project / "stacks/environments"
    (environments / "prod.yaml").write_text(filled((environments / "prod.yaml.example").read_text()))
    with contextlib.chdir(project / "stacks/site"):
        recorded = mocks.run(site.run, project="trihull-site", stack=stack, preview=preview)
    assert recorded.exports["environment"] == "prod"
    assert len(recorded.registered) > 40
