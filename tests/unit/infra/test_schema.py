"""The JSON Schemas for editors: they are the models' own, and refuse what a person gets wrong."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from trihull_infra import schema
from trihull_infra.environment import load
from trihull_infra.errors import SpecError

REPOSITORY = Path(__file__).parents[3]
WRITTEN = [
    *sorted((REPOSITORY / "stacks/environments").glob("*.yaml")),
    *sorted((REPOSITORY / "tests/parity/environments").glob("*.yaml")),
]


def mistakes(value: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema.environment())
    return sorted(error.json_path for error in validator.iter_errors(value))


def written(path: Path) -> dict[str, Any]:
    value = yaml.safe_load(path.read_text())
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("folder", [schema.PACKAGE, REPOSITORY / "docs/reference"], ids=["package", "docs"])
@pytest.mark.parametrize("name", [schema.ENVIRONMENT, schema.ORGANISATION])
def test_what_is_committed_is_what_the_models_say_now(folder: Path, name: str) -> None:
    assert (folder / name).read_text() == schema.texts()[name], "run `python -m trihull_infra.schema`"


@pytest.mark.parametrize("text", schema.texts().values(), ids=schema.texts())
def test_each_is_a_valid_schema_of_the_dialect_it_names(text: str) -> None:
    value = json.loads(text)
    assert value["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    jsonschema.Draft202012Validator.check_schema(value)


def test_every_key_is_described_and_no_unknown_one_is_taken() -> None:
    found = schema.environment()
    models = [found, *(one for one in found["$defs"].values() if one.get("type") == "object")]
    assert len(models) > 25
    for model in models:
        assert model["additionalProperties"] is False, model
        assert [key for key, value in model["properties"].items() if not value.get("description")] == []


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_it_takes_every_environment_that_is_written(path: Path) -> None:
    assert mistakes(written(path)) == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"zones": ["a"]}, "$.zones"),
        ({"kubernetes_version": 1.34}, "$.kubernetes_version"),
        ({"protect": "yes"}, "$.protect"),
        ({"name": "Local"}, "$.name"),
        ({"retention": {"logs_days": 91}}, "$.retention.logs_days"),
        ({"serving": {"replicas_min": "two", "replicas_max": 4}}, "$.serving.replicas_min"),
        ({"pools": {"serving": {"machine": "t4", "nodes_min": 1, "nodes_max": 2, "spot_share": 0}}}, "$.pools.serving"),
        ({"routing": {"policy": "random", "replicas": 1, "timings": "lab"}}, "$.routing.policy"),
        ({"clouds": {"oci": {}}}, "$.clouds"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_it_refuses_what_trihull_refuses_and_says_where(change: dict[str, Any], where: str, tmp_path: Path) -> None:
    value = {**written(REPOSITORY / "stacks/environments/local.yaml"), **change}
    found = mistakes(value)
    assert found
    assert all(one.startswith(where) or one == "$" for one in found), found
    (tmp_path / "local.yaml").write_text(yaml.safe_dump(value))
    with pytest.raises(SpecError):
        load("local", tmp_path)


def test_it_refuses_a_missing_key() -> None:
    value = written(REPOSITORY / "stacks/environments/local.yaml")
    del value["clouds"]["aws"]["account"]
    assert mistakes(value) == ["$.clouds.aws"]


def test_it_takes_the_organisation_of_a_new_project() -> None:
    text = (schema.PACKAGE.parent / "init/project/stacks/organisation.yaml").read_text()
    validator = jsonschema.Draft202012Validator(schema.organisation())
    assert list(validator.iter_errors(yaml.safe_load(text))) == []
    assert list(validator.iter_errors({"regions": {"oci": []}})) != []
