"""`trihull init`: what a project holds, that nothing is left half-written, and what is refused."""

import re
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pydantic
import pytest
import yaml
from click.testing import CliRunner

from trihull_infra import organisation, schema
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment, load
from trihull_infra.errors import SpecError
from trihull_infra.init import copies, writing
from trihull_infra.init.command import command
from trihull_runtime.errors import UsageError

REPOSITORY = Path(__file__).parents[4]
UUID = "11111111-1111-1111-1111-111111111111"
FILLED = {
    "<you>": "you",
    "<team>": "team",
    "<account number>": "123456789012",
    "<ARN of your role>": "arn:aws:iam::123456789012:role/deployer",
    "<ARN of a role>": "arn:aws:iam::123456789012:role/deployer",
    "<project id>": "some-project",
    "<your IAM member>": "user:you@example.com",
    "<IAM member>": "group:team@example.com",
    "<subscription id>": UUID,
    "<Entra object id>": UUID,
    "<your address>": "203.0.113.7",
    "<where it stands>": "basement",
    "<your kubeconfig context>": "on-premises",
    "<host and repository>": "registry.example.com/models",
    "<bucket address>": "s3://evidence",
    "<the token's sub>": "repo:acme/models:environment:prod",
}


def filled(text: str) -> str:
    for mark, value in FILLED.items():
        text = text.replace(mark, value)
    left = [line for line in text.splitlines() if re.search(r"<[^>.]+>", line.partition(" #")[0])]
    assert [line for line in left if not line.startswith("#")] == []
    return text


def uncommented(text: str) -> str:
    """A file in which every `#key: value` is asked for; `# words` stay comments."""
    return re.sub(r"^(\s*)#(\s*)(?=[a-z_]+: ?|[a-z_]+:$)", _asked, text, flags=re.MULTILINE)


def _asked(match: re.Match[str]) -> str:
    """`#key` at any depth, and `#  key` inside a block of them; `# word: ...` of a sentence is none of them."""
    return match[0] if len(match[2]) == 1 else match[1] + match[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    writing.write(tmp_path / "models", Cloud.AWS)
    return tmp_path / "models"


def keys(model: type[pydantic.BaseModel], seen: set[type[pydantic.BaseModel]]) -> set[str]:
    """Every key that a model and the models below it know."""
    found: set[str] = set()
    seen.add(model)
    for name, field in model.model_fields.items():
        found.add(field.alias or name)
        for inner in _models(field.annotation):
            if inner not in seen:
                found |= keys(inner, seen)
    return found


def _models(annotation: Any) -> list[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models(inner)]


def test_a_project_holds_what_a_deploy_needs(project: Path) -> None:
    for name in ("site", "serving", "routing", "dns"):
        assert (project / "stacks" / name / "Pulumi.yaml").is_file()
        assert "run()" in (project / "stacks" / name / "__main__.py").read_text()
    assert load("local", project / "stacks/environments").clouds == (Cloud.AWS, Cloud.GCP, Cloud.AZURE)
    assert (project / "stacks/models/digits/model.yaml").is_file()
    assert ".venv/" in (project / ".gitignore").read_text()
    assert not list(project.rglob("*.template"))
    assert not list(project.rglob("__pycache__"))
    assert not [path for path in project.rglob("*") if path.is_file() and re.search(r"@[A-Z]+@", path.read_text())]


def test_what_it_shares_with_stacks_is_the_same_byte_for_byte() -> None:
    stacks = REPOSITORY / "stacks"
    shared = copies.sources(stacks)
    assert {path.name for path in (stacks / "models/digits").iterdir() if path.is_file()} - {"model.lock"} == {
        place.name for place in shared if place.parts[0] == "models"
    }
    for place, file in shared.items():
        copied = (copies.PROJECT / "stacks" / place).read_bytes()
        assert copied == file.read_bytes(), f"{place}: run `python -m trihull_infra.init.copies`"


def test_it_pins_the_versions_that_are_installed(project: Path) -> None:
    pinned = [line for line in (project / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert {re.sub(r"\[.*?\]", "", line) for line in pinned} == {
        f"{name}=={metadata.version(name)}" for name in ("trihull-infra", "trihull-packaging", "trihull-runtime")
    }


@pytest.mark.parametrize("cloud", list(Cloud))
def test_dev_is_refused_until_every_placeholder_is_filled_in(cloud: Cloud, tmp_path: Path) -> None:
    writing.write(tmp_path / "models", cloud)
    folder = tmp_path / "models/stacks/environments"
    text = (folder / "dev.yaml").read_text()
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.search(r"^[^#]*<", line)]
    with pytest.raises(SpecError) as caught:
        load("dev", folder)
    told = [int(line.split(":")[1]) for line in str(caught.value).splitlines()]
    assert told == lines
    (folder / "dev.yaml").write_text(filled(text))
    dev = load("dev", folder)
    assert dev.clouds == (cloud,)
    assert not dev.protect


def test_every_cloud_has_a_cheap_environment() -> None:
    assert {path.stem for path in (writing.PACKAGE / "clouds").iterdir()} == set(Cloud)


def test_prod_shows_every_key_and_what_it_shows_is_right(project: Path) -> None:
    folder = project / "stacks/environments"
    text = filled((folder / "prod.yaml.example").read_text())
    (folder / "prod.yaml").write_text(text)
    assert load("prod", folder).clouds == (Cloud.AWS, Cloud.GCP, Cloud.AZURE)
    (folder / "prod.yaml").write_text(uncommented(text))
    whole = load("prod", folder)
    assert whole.clouds == tuple(Cloud)
    shown = _keys_of(yaml.safe_load((folder / "prod.yaml").read_text()))
    assert keys(Environment, set()) - shown == set()


def _keys_of(value: object) -> set[str]:
    if isinstance(value, dict):
        return {str(key) for key in value}.union(*(_keys_of(inner) for inner in value.values()))
    return set().union(*(_keys_of(inner) for inner in value)) if isinstance(value, list) else set()


def test_the_organisation_shows_every_key_and_asks_for_nothing(project: Path) -> None:
    asked = organisation.load(project / "stacks/environments")
    assert asked == organisation.load(project)  # where there is none
    path = project / "stacks/organisation.yaml"
    path.write_text(re.sub(r"^#(?=[a-z_]+:)", "", path.read_text(), flags=re.MULTILINE))
    organisation.load(project / "stacks/environments")
    assert _keys_of(yaml.safe_load(path.read_text())) >= set(organisation.Organisation.model_fields)


def test_editors_find_the_schema_that_lies_beside_each_environment(project: Path) -> None:
    folder = project / "stacks/environments"
    for file in sorted(folder.glob("*.yaml*")):
        first = file.read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=environment.schema.json"
        validator = jsonschema.Draft202012Validator(yaml.safe_load((folder / "environment.schema.json").read_text()))
        assert list(validator.iter_errors(yaml.safe_load(filled(file.read_text())))) == []
    named = (project / "stacks/organisation.yaml").read_text().splitlines()[0].partition("$schema=")[2]
    assert (project / "stacks" / named).read_text() == schema.texts()[schema.ORGANISATION]


def test_the_workflow_deploys_each_cloud_in_its_own_job_without_a_stored_key(project: Path) -> None:
    text = (project / ".github/workflows/deploy.yaml").read_text()
    workflow = yaml.safe_load(text)
    assert list(workflow["jobs"]) == ["aws", "gcp", "azure", "together"]
    assert workflow["permissions"] == {"contents": "read", "id-token": "write"}
    assert set(re.findall(r"secrets\.(\w+)", text)) == {"PULUMI_CONFIG_PASSPHRASE"}
    for cloud in ("aws", "gcp", "azure"):
        job = workflow["jobs"][cloud]
        assert "self-hosted" in job["runs-on"]
        guarded = {step["if"]: step["run"] for step in job["steps"] if "run" in step and "if" in step}
        assert "preview" in guarded["github.event_name == 'pull_request'"]
        assert f'up "$ENVIRONMENT" --cloud {cloud}' in guarded["github.event_name == 'push'"]


@pytest.mark.parametrize("kind", ["files", "file", "link"])
def test_a_place_that_is_taken_is_refused_and_left_as_it_is(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "models"
    if kind == "files":
        target.mkdir()
        (target / "mine").write_text("mine")
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(command, [str(target)])
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 64
    said = "is not empty" if kind == "files" else "is there already and is no folder"
    assert f"{target} {said}" in str(result.exception)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    result = CliRunner().invoke(command, [str(tmp_path / "models"), "--cloud", "gcp"])
    assert result.exit_code == 0, result.output
    assert "gcp:" in (tmp_path / "models/stacks/environments/dev.yaml").read_text()


def test_nothing_is_left_when_writing_fails_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(schema, "write", full)
    with pytest.raises(UsageError, match="No space left"):
        writing.write(tmp_path / "models", Cloud.AWS)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        writing.write(tmp_path / "file" / "models", Cloud.AWS)


def test_a_missing_distribution_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UsageError, match="trihull-runtime is not installed"):
        writing.write(tmp_path / "models", Cloud.AWS)
    assert list(tmp_path.iterdir()) == []
