"""Every key of an environment is fed what it cannot be: each message has line, key, expectation, and YAML's words."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml

from tests.unit.infra.written import write
from trihull_infra.environment import Environment, load
from trihull_infra.errors import SpecError

REPOSITORY = Path(__file__).parents[3]
WRONG = (
    "7", "1.30", "0123", "no", "2026-11-29", "22:00", "50%", "'[unlikely]'", "''", "", "[1]", "[]", "{a: 1}", "-3",
    ".nan", "5e-1", "null",
)  # fmt: skip
# Words of Python and pydantic; a person wrote YAML.
FOREIGN = re.compile(
    r"\bNone\b|\bTrue\b|\bFalse\b|NoneType|<class|\[type=|[Ii]nput should|should have|valid (string|integer|number)|"
    r"\bdict\b|\blist\[|\btuple\b|found '|datetime|Infinity|NaN"
)
KUBERNETES = {
    "region": "here",
    "residency": "eu",
    "context": "c",
    "registry": "registry.example.com/models",
    "bucket": "s3://models",
}
EVERY: dict[str, Any] = {  # sections that local.yaml leaves out, so that their keys have a place
    "ci": {"issuer": "https://ci.example.com", "subject": "a"},
    "upgrades": {},
    "network": {},
    "retention": {},
    "certificates": {},
    "releases": {},
}
POOL = {"machine": "t4", "nodes_min": 0, "nodes_max": 4, "spot_share": 0}


def options(annotation: Any) -> list[type[pydantic.BaseModel]]:
    found = [annotation, *getattr(annotation, "__args__", ())]
    return [one for one in found if isinstance(one, type) and issubclass(one, pydantic.BaseModel)]


def fields(model: type[pydantic.BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give every key by its names in a file, and one below each map of sections."""
    for name, field in model.model_fields.items():
        key = (*above, field.alias or name)
        yield key
        mapped = "Mapping" in str(field.annotation) or "dict[" in str(field.annotation)
        for inner in options(field.annotation):
            yield from fields(inner, (*key, "a") if mapped else key)


KEYS = list(fields(Environment))


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load((REPOSITORY / "stacks/environments/local.yaml").read_text())
    clouds, pools = value["clouds"], value["pools"]
    clouds["kubernetes"] = KUBERNETES
    clouds["aws"]["existing"] = {
        "network": {
            "id": "vpc-0123456789abcdef0",
            "private_subnets": ["subnet-0123456789abcde1", "subnet-0123456789abcde2"],
        }
    }
    clouds["gcp"]["existing"] = {"network": dict.fromkeys(("name", "subnet", "pods_range", "services_range"), "a")}
    network = f"/subscriptions/{clouds['azure']['subscription']}/resourceGroups/a/providers/Microsoft.Network"
    clouds["azure"] |= {"existing": {"network": {"id": f"{network}/virtualNetworks/a", "subnet": "a"}}}
    clouds["azure"]["device_plugin"] = "external"
    value["pools"] = {**pools, "system": {"machine": "small", "nodes_min": 1, "nodes_max": 3}, "accelerator": POOL}
    value["routing"]["classes"] = {"a": {"residencies": ["eu"]}}
    return value | EVERY


def document(good: dict[str, Any], key: tuple[str, ...], text: str) -> str:
    value: dict[str, Any] = yaml.safe_load(yaml.safe_dump(good))
    inner = value
    for part in key[:-1]:
        inner = inner.setdefault(part, {})
    inner[key[-1]] = "PLACE"
    return yaml.safe_dump(value, sort_keys=False).replace("PLACE", text)


def told(folder: Path, text: str) -> list[str]:
    try:
        load("local", write(folder, text))
    except SpecError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_a_value_of_a_wrong_type_is_told_in_words_of_yaml(
    tmp_path: Path, good: dict[str, Any], key: tuple[str, ...]
) -> None:
    refused, template = 0, document(good, key, "PLACE")
    for text in WRONG:
        written = template.replace("PLACE", text)
        if not (lines := told(tmp_path, written)):
            continue
        refused += 1
        name, dotted = f"{key[-1]}: {text}".strip(), ".".join(key)
        numbers = [place for place, line in enumerate(written.splitlines(), 1) if line.strip() == name]
        ours = [line for line in lines if f": {dotted}" in line]
        # A value that is right by itself and wrong beside others is told at those, which name it.
        assert ours or all(key[-1] in line for line in lines), (text, lines)
        for line in lines:
            assert re.match(rf"{re.escape(str(tmp_path / 'local.yaml'))}:[0-9]+: [\w.<> -]+: ", line), (text, line)
            assert FOREIGN.search(line) is None, (text, line)
            assert re.search(
                r"[,;] found |is missing; expected |; known here: |expected (no|nothing|existing)", line
            ), line
            example = re.search(r"such as ([^,;]+),? found ([^;]+)(;|$)", line)
            assert example is None or example[1].strip('"') != example[2].strip('"'), line
        for line in ours:
            assert int(line.split(":")[1]) in numbers, (text, line)
    assert refused >= len(WRONG) // 3, "hardly anything is wrong here"


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("kubernetes_version", "1.30", 'found 1.30; write it in quotes: "1.30"'),
        ("clouds.aws.account", "012345670123", 'found 012345670123; write it in quotes: "012345670123"'),
        ("clouds.aws.account", "123456789012", 'found 123456789012; write it in quotes: "123456789012"'),
        ("clouds.aws.residency", "no", 'found no, which YAML reads as false; write it in quotes: "no"'),
        ("clouds.azure.zones.0", "1", 'found 1; write it in quotes: "1"'),
        ("cost_centre", "4711", 'found 4711; write it in quotes: "4711"'),
        ("protect", "'true'", 'found "true"; write it without quotes: true'),
        ("pools.serving.spot_share", "'0.5'", 'found "0.5"; write it without quotes: 0.5'),
        ("pools.serving.spot_share", "50%", 'a number from 0 (none) to 1 (all), found "50%"'),
        ("serving.replicas_max", "'4'", 'found "4"; write it without quotes: 4'),
        ("serving.memory", "512", "a whole number with its unit, such as 512Mi or 2Gi, found 512"),
        ("api_server.authorised_networks", "203.0.113.7/32", "; write it as a list: [203.0.113.7/32]"),
        ("upgrades.start_utc", "7:00", 'when the window opens, such as "02:00", found "7:00"'),
        ("upgrades.hours", "5:00", 'found "5:00"'),
        ("owner", "", "who answers for it: a-z 0-9 _ -, found nothing"),
    ],
)
def test_what_yaml_makes_of_a_value_is_told_as_it_is_written(
    tmp_path: Path, good: dict[str, Any], key: str, text: str, message: str
) -> None:
    *above, last = key.split(".")
    if last.isdigit():
        text, last = f"[{text}, '2']", above.pop()
    (line,) = told(tmp_path, document(good, (*above, last), text))
    assert f": {key}: expected " in line
    assert line.endswith(message)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("upgrades.start_utc", "22:00"),
        ("routing.hedge_after_s", "5e-2"),
        ("pools.serving.spot_share", "1"),
        ("serving.cpu", "1"),
    ],
)
def test_what_people_write_without_quotes_is_taken_where_it_means_one_thing(
    tmp_path: Path, good: dict[str, Any], key: str, text: str
) -> None:
    assert told(tmp_path, document(good, tuple(key.split(".")), text)) == []


@pytest.mark.parametrize(
    ("text", "cpu"),
    [("1", "1"), ("0.5", "500m"), ("'0.25'", "250m"), ("1.5", "1500m"), ("250m", "250m"), ("'1'", "1"), ("1.0", "1")],
)
def test_cpus_are_a_number_or_a_text(tmp_path: Path, good: dict[str, Any], text: str, cpu: str) -> None:
    environment = load("local", write(tmp_path, document(good, ("serving", "cpu"), text)))
    assert environment.serving.cpu == cpu


@pytest.mark.parametrize("text", ["0", "0.0001", "-1", "true", "250M", "[1]", "0.5m"])
def test_other_cpus_are_refused(tmp_path: Path, good: dict[str, Any], text: str) -> None:
    (line,) = told(tmp_path, document(good, ("serving", "cpu"), text))
    assert ": serving.cpu: expected a CPU request such as 250m or 0.5 or 4, found " in line


def test_keys_are_text_whatever_yaml_makes_of_them(tmp_path: Path, good: dict[str, Any]) -> None:
    assert told(tmp_path, document(good, ("tags",), "{on: x, off: y}")) == []
    (line,) = told(tmp_path, document(good, ("tags",), "{1: x}"))
    assert ": tags.1: expected more tags, name to value" in line


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ownr", "owner"),
        ("cost_center", "cost_centre"),
        ("kubernets_version", "kubernetes_version"),
        ("cloud", "clouds"),
    ],
)
def test_a_misspelled_key_gets_a_suggestion(tmp_path: Path, good: dict[str, Any], wrong: str, right: str) -> None:
    lines = told(tmp_path, yaml.safe_dump({wrong if key == right else key: value for key, value in good.items()} | {
        wrong: good.get(right, "x")
    }))  # fmt: skip
    (line,) = [line for line in lines if "is unknown" in line]
    assert f": {wrong}: is unknown; known here: " in line
    assert line.endswith(f"; did you mean {right}?")


def test_a_misspelled_key_of_an_organisation_gets_a_suggestion(tmp_path: Path, good: dict[str, Any]) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "organisation.yaml").write_text("version: 1\nregoins: {aws: [eu-central-1]}\n")
    (line,) = told(tmp_path / "environments", yaml.safe_dump(good))
    assert line.startswith(f"{tmp_path / 'organisation.yaml'}:2: regoins: is unknown; ")
    assert line.endswith("; did you mean regions?")
