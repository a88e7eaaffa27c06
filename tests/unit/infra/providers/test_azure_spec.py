"""What an environment says of Azure alone: who hands accelerators to pods."""

from pathlib import Path

import pytest

from trihull_infra import schema
from trihull_infra.cloud import Cloud
from trihull_infra.environment import load
from trihull_infra.errors import SpecError
from trihull_infra.providers.azure.spec import IMAGE as PATTERN

WRITTEN = Path(__file__).parents[3] / "parity/environments/longestname1.yaml"
IMAGE = f"registry.example.com/k8s-device-plugin@sha256:{'d' * 64}"


def written(folder: Path, value: str) -> Path:
    text = WRITTEN.read_text()
    assert text.count(f"device_plugin: {IMAGE}") == 1
    (folder / "longestname1.yaml").write_text(text.replace(f"device_plugin: {IMAGE}", f"device_plugin: {value}"))
    return folder


def test_an_image_is_ours_to_run(tmp_path: Path) -> None:
    site = load("longestname1", written(tmp_path, IMAGE)).site(Cloud.AZURE)
    assert site.agent_image("device-plugin") == IMAGE
    assert not site.runs_already("device-plugin")


def test_external_names_no_image_and_no_other_agent(tmp_path: Path) -> None:
    environment = load("longestname1", written(tmp_path, "external"))
    site = environment.site(Cloud.AZURE)
    assert site.agent_image("device-plugin") is None
    assert site.runs_already("device-plugin")
    assert not site.runs_already("node-autoscaler")
    assert not any(environment.site(cloud).runs_already("device-plugin") for cloud in environment.clouds[:2])


@pytest.mark.parametrize(
    "value",
    ["External", "none", "registry.example.com/k8s-device-plugin:v0.18", f'"{IMAGE}\\n"', "true", "1", '""'],
)
def test_anything_else_is_one_mistake_that_says_both_ways(tmp_path: Path, value: str) -> None:
    with pytest.raises(SpecError) as raised:
        load("longestname1", written(tmp_path, value))
    (line,) = str(raised.value).splitlines()
    assert "clouds.azure.device_plugin: expected the device plugin's image by digest" in line
    assert "or the word external, found" in line


def test_the_schema_knows_the_word_and_the_pattern() -> None:
    asked = schema.environment()["$defs"]["AzureSpec"]["properties"]["device_plugin"]
    assert [one.get("const") or one.get("pattern") or one["type"] for one in asked["anyOf"]] == [
        PATTERN,
        "external",
        "null",
    ]
