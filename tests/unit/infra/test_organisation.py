"""What an organisation asks of every environment is held against each before anything begins."""

from pathlib import Path

import pytest

from trihull_infra import environment, organisation
from trihull_infra.cloud import Cloud
from trihull_infra.errors import SpecError

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "dev.yaml").write_bytes((REPOSITORY / "stacks/environments/dev.yaml").read_bytes())
    return folder


def ask(environments: Path, text: str) -> None:
    (environments.parent / "organisation.yaml").write_text(f"version: 1\n{text}\n")


def refused(environments: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        environment.load("dev", environments)
    return str(caught.value).splitlines()


def test_without_a_file_nothing_is_asked(environments: Path) -> None:
    assert organisation.load(environments) == organisation.Organisation()
    assert environment.load("dev", environments).clouds == (Cloud.AWS,)


def test_an_environment_that_keeps_to_it_is_taken(environments: Path) -> None:
    ask(environments, "required_tags: {owner: [], cost_centre: [trials, models]}\nregions: {aws: [eu-central-1]}")
    assert environment.load("dev", environments).labels["cost_centre"] == "trials"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("required_tags: {team: []}", "tags.team: expected a value, found none (organisation.yaml: required_tags)"),
        ("required_tags: {owner: [platform]}", "owner: expected one of platform, found you"),
        ("regions: {aws: [eu-west-1]}", "clouds.aws.region: expected one of eu-west-1, found eu-central-1"),
        ("private_api_servers: true", "api_server.authorised_networks: expected [] (organisation.yaml"),
        ("private_endpoints: true", "network.private_endpoints: expected true (organisation.yaml"),
        ("own_keys: true", "keys.own: expected true (organisation.yaml"),
    ],
)
def test_what_it_does_not_allow_is_told_with_its_key(environments: Path, text: str, problem: str) -> None:
    file = environments / "dev.yaml"
    assert "private_endpoints: false" in file.read_text()
    assert "own: false" in file.read_text()
    ask(environments, text)
    (told,) = refused(environments)
    number = int(told.removeprefix(f"{file}:").partition(":")[0])
    key = told.split(": ")[1]
    line = file.read_text().splitlines()[number - 1]
    assert key.rpartition(".")[2] in line or key.partition(".")[0] in line or number == 1  # a tag that is not there
    assert problem in told


def test_everything_is_told_at_once(environments: Path) -> None:
    ask(environments, "required_tags: {team: [], desk: []}\nregions: {aws: [eu-west-1]}")
    assert len(refused(environments)) == 3


@pytest.mark.parametrize("text", ["colour: red", "regions: {ibm: [x]}", "required_tags: {Team: []}", "version: 2"])
def test_a_mistake_in_it_is_told(environments: Path, text: str) -> None:
    (environments.parent / "organisation.yaml").write_text(text)
    (told,) = refused(environments)
    assert f"{environments.parent / 'organisation.yaml'}:" in told
