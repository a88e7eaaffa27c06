"""Unmodified programs on the real SDKs, through the real engine, on each emulated cloud."""

import base64
import json
import sqlite3
import threading
from pathlib import Path

import pytest

from tests.emulated.clouds import BY_NIGHT
from tests.emulated.conftest import Make, OperationError, Stack
from trihull_infra.emulators.client import Daemon


@pytest.fixture(params=BY_NIGHT)
def cloud(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_site_is_made_kept_changed_replaced_and_removed(cloud: str, stack: Make, daemon: Daemon) -> None:
    site = stack(f"local-{cloud}", f"{cloud}_site", bucket="one-bucket")
    planned = site.preview()
    assert set(planned) == {"create"}
    assert site.up() == planned, "the preview foresaw everything"
    assert site.outputs["bucket"] == "one-bucket"
    assert daemon.sites()[cloud]["server"] == site.outputs["server"], "the program's endpoint is the local cluster's"
    registry = Path(site.outputs["registry"].removeprefix("oci-layout://"))
    assert registry.is_dir()
    assert registry.parts[-2] == cloud
    outputs = site.outputs

    assert set(site.up()) == {"same"}
    assert set(site.refresh()) == {"same"}
    assert set(site.preview()) == {"same"}

    site.options["tags"] = {"purpose": "test"}
    changed = site.up()
    assert set(changed) == {"same", "update"}
    assert site.outputs == outputs, "an update in place changes no id, name or endpoint"

    site.options["bucket"] = "another-bucket"
    assert set(site.preview()) & {"replace"}
    assert site.up()["replace"] >= 1
    assert site.outputs["bucket"] == "another-bucket"
    assert set(site.refresh()) == {"same"}

    assert set(site.destroy()) == {"delete"}
    assert cloud not in daemon.sites()
    assert not registry.exists()
    package = {"azure": "azure-native"}.get(cloud, cloud)
    assert package not in daemon.status()["resources"]


def test_a_kubeconfig_of_azure_names_the_cluster_and_is_secret(stack: Make, daemon: Daemon) -> None:
    site = stack("local-azure", "azure_site", bucket="one-bucket")
    site.up()
    assert "kubeconfig" in site.secret
    document = json.loads(base64.b64decode(site.outputs["kubeconfig"]))
    server = document["clusters"][0]["cluster"]["server"]
    assert server == f"{site.outputs['server']}:443"
    assert document["users"][0]["user"]["exec"]["command"] == "kubelogin"


def test_two_stacks_go_up_at_once(stack: Make, daemon: Daemon) -> None:
    stacks = [stack(f"local-{cloud}", f"{cloud}_site", bucket="one-bucket") for cloud in ("aws", "gcp")]
    failures: list[BaseException] = []

    def up(one: Stack) -> None:
        try:
            one.up()
        except (OperationError, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=up, args=(one,)) for one in stacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(daemon.sites()) == {"aws", "gcp"}


def test_a_name_that_is_taken_is_refused_and_the_owner_named(stack: Make) -> None:
    first = stack("local-gcp", "gcp_site", bucket="one-bucket")
    first.up()
    second = stack("local-gcp-again", "bucket_of_google", bucket="one-bucket")
    with pytest.raises(OperationError, match=r"'one-bucket' already exists \(made as urn:pulumi:local-gcp::"):
        second.up()
    assert set(first.refresh()) == {"same"}


def test_what_vanished_is_made_again(stack: Make, daemon: Daemon, home: Path) -> None:
    site = stack("local-gcp", "gcp_site", bucket="one-bucket")
    site.up()
    with sqlite3.connect(home / "emulators" / "state.sqlite") as database:
        database.execute("DELETE FROM resources WHERE type = 'gcp:storage/bucket:Bucket'")
    database.close()
    assert site.refresh()["delete"] == 1
    assert site.up()["create"] == 1


def test_a_mistake_is_refused_in_the_preview_by_name(stack: Make) -> None:
    site = stack("local-typo", "bucket_with_a_typo")
    with pytest.raises(OperationError, match=r"lifecycleRules\[0\]\.action\.typo is not an argument"):
        site.preview()
