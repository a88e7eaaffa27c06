"""The documents: what is written today is read tomorrow, and what is not in the contract is not read at all."""

import importlib
import json
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trihull_runtime import contract
from trihull_runtime.contract.codec import Document, write_file
from trihull_runtime.contract.manifest import release_digest

GOLDEN = Path(__file__).parents[3] / "golden" / "contract"
DOCUMENTS: dict[str, type[Document]] = {
    "clients.json": contract.Clients,
    "fleet.json": contract.Fleet,
    "manifest.json": contract.ModelManifest,
    "release.json": contract.Release,
    "releases.json": contract.EnvironmentReleases,
    "router_build.json": contract.RouterBuild,
    "serving.json": contract.ServingOutputs,
    "site.json": contract.SiteOutputs,
}


OPTIONAL = {"router", "routing", "clients", "issuers", "deployer", "overrides"}  # top-level fields


def golden(name: str) -> dict[str, Any]:
    value = json.loads((GOLDEN / name).read_text())
    assert isinstance(value, dict)
    return value


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place inside a JSON value."""
    found: list[tuple[str | int, ...]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += [(*path, key), *paths(item, (*path, key))]
    return found


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(value))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return copy


def test_every_document_has_a_golden_file() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(DOCUMENTS)
    for module in pkgutil.iter_modules(contract.__path__, f"{contract.__name__}."):
        importlib.import_module(module.name)
    documents = [cls for cls in Document.__subclasses__() if cls.__module__.startswith(contract.__name__)]
    assert {cls.__name__ for cls in DOCUMENTS.values()} == {cls.__name__ for cls in documents}


def test_the_package_gives_every_name_from_the_module_that_defines_it() -> None:
    for module, names in contract.HOMES.items():
        defined = importlib.import_module(f"{contract.__name__}.{module}")
        assert [getattr(contract, name) for name in names] == [getattr(defined, name) for name in names]
    assert sorted(name for names in contract.HOMES.values() for name in names) == sorted(contract.__all__)
    with pytest.raises(ImportError, match="Surprise"):
        from trihull_runtime.contract import Surprise  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_golden_document_is_read_and_written_byte_by_byte(name: str) -> None:
    text = (GOLDEN / name).read_text()
    assert DOCUMENTS[name].parse(text).to_json() == text


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.5])
def test_another_version_is_refused_with_the_version_that_is_read(name: str, version: object) -> None:
    with pytest.raises(contract.ContractError, match=r"version.*reads version 1"):
        DOCUMENTS[name].from_value({**golden(name), "version": version}, "file")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_unknown_field_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(contract.ContractError, match=r"surprise: is unknown; known here: version"):
        DOCUMENTS[name].from_value({**golden(name), "surprise": 1}, "file")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_misspelled_field_gets_a_suggestion(name: str) -> None:
    field = list(golden(name))[-1]
    with pytest.raises(contract.ContractError, match=rf"{field}x: is unknown; known here: .*; did you mean {field}\?"):
        DOCUMENTS[name].from_value({**golden(name), f"{field}x": 1}, "file")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_missing_field_is_named(name: str) -> None:
    for field in golden(name):
        value = {key: item for key, item in golden(name).items() if key != field}
        if field in (
            "router",
            "routing",
            "clients",
            "issuers",
            "deployer",
            "overrides",
        ):  # the optional top-level fields
            continue
        if (name, field) == ("router_build.json", "attestations"):  # a release has them in any case
            continue
        with pytest.raises(contract.ContractError, match=rf"file: {field}: is missing"):
            DOCUMENTS[name].from_value(value, "file")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_value_of_another_type_is_refused_wherever_it_stands(name: str) -> None:
    value = golden(name)
    for path in paths(value):
        with pytest.raises(contract.ContractError):
            DOCUMENTS[name].from_value(replaced(value, path, [[{"not": "this"}]]), "file")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not valid JSON"),
        (b'{"version": 1', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "expected an object, found a list"),
        (b"null", "expected an object, found null"),
        (b'{"version": 1, "version": 1}', "stands twice"),
        (b'{"version": NaN}', "NaN is not a JSON number"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_garbage_is_refused_and_the_source_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(contract.ContractError, match=problem) as caught:
        contract.Fleet.parse(data, "fleet.json")
    assert str(caught.value).startswith("fleet.json: ")
    assert caught.value.exit_code == 65


def test_a_fleet_written_before_there_were_rules_is_still_read() -> None:
    value = golden("fleet.json")
    del value["routing"]
    for site in value["sites"]:
        del site["grpc_endpoint"]
    assert contract.Fleet.from_value(value).routing == contract.Routing()


def test_a_site_of_an_older_state_has_no_deployer_and_no_overrides() -> None:
    value = golden("site.json")
    del value["deployer"], value["overrides"]
    older = contract.SiteOutputs.from_value(value)
    assert (dict(older.deployer), older.overrides) == ({}, ())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"default_class": "moon"}, "routing.default_class: is 'moon', which `classes` does not hold"),
        ({"classes": {"Strict": {"residencies": ["eu"]}}, "default_class": None}, "classes.Strict: is not a name"),
        ({"classes": {"strict": {"residencies": []}}}, "residencies: is empty"),
        (
            {"classes": {name: {"residencies": ["eu"], "hosts": ["x.org"]} for name in ("strict", "wide")}},
            "names 'x.org', which is of class 'strict' already",
        ),
        ({"classes": {"strict": {"residencies": ["eu"], "hosts": ["EU.org"]}}}, "does not match"),
        ({"canaries": {"iris": {"sites": ["gcp"], "percent": 1}}}, "canaries.iris: is for a model that"),
        ({"canaries": {"digits": {"sites": ["moon"], "percent": 1}}}, "names 'moon'; the fleet has aws, gcp"),
        ({"canaries": {"digits": {"sites": ["gcp"], "percent": 101}}}, "at most 100"),
        ({"shadows": {"digits": {"site": "moon", "percent": 1}}}, "names 'moon'"),
        ({"repeatable": ["explain"]}, "does not match"),
        ({"hedge_after_s": 0.0}, "at least 0.001"),
    ],
)
def test_rules_that_make_no_sense_are_refused(changes: dict[str, Any], problem: str) -> None:
    value = golden("fleet.json")
    value["routing"] |= changes
    with pytest.raises(contract.ContractError, match=re.escape(problem)):
        contract.Fleet.from_value(value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"version": 1}, "is empty: nobody could send a request"),
        ({"version": 1, "clients": [{"name": "a", "keys": ["short"]}]}, "does not match"),
        (
            {"version": 1, "clients": [{"name": "a", "keys": ["x" * 30]}, {"name": "b", "keys": ["x" * 30]}]},
            "share a key",
        ),
        ({"version": 1, "clients": [{"name": "a", "keys": ["x" * 30]}, {"name": "a", "keys": []}]}, "names 'a' twice"),
        ({"version": 1, "issuers": [{"issuer": "i", "audiences": [], "jwks": "{}"}]}, "audiences: is empty"),
    ],
)
def test_clients_that_make_no_sense_are_refused_and_no_key_is_told(value: dict[str, Any], problem: str) -> None:
    with pytest.raises(contract.ContractError, match=re.escape(problem)) as caught:
        contract.Clients.from_value(value)
    assert "x" * 30 not in str(caught.value)
    assert "short" not in str(caught.value)


def test_a_client_does_not_show_its_keys() -> None:
    client = contract.Clients.from_value(golden("clients.json")).clients[0]
    assert client.keys[0] not in repr(client)
    assert client.keys[0] not in str(contract.Clients.from_value(golden("clients.json")))


@pytest.mark.parametrize(
    ("path", "new", "problem"),
    [
        (("sites", 0, "endpoint", "url"), "https://host:1/path", "expected scheme://host:port"),
        (("sites", 0, "endpoint", "url"), "https://user@host:1", "expected scheme://host:port"),
        (("sites", 0, "endpoint", "url"), "https://host:99999", "Port out of range"),
        (("sites", 0, "endpoint", "url"), "ftp://host", "does not match"),
        (("sites", 0, "endpoint", "url"), "https://[::1", "Invalid IPv6"),
        (("sites", 0, "state"), "asleep", "expected one of active, draining, disabled"),
        (("sites", 0, "priority"), 128, "at most 127"),
        (("sites", 0, "weight"), 0, "at least 1"),
        (("sites", 1, "name"), "aws", "names 'aws' twice"),
        (("sites", 0, "name"), "AWS", "does not match"),
        (("models", "digits", 0), "latest", "does not match sha256"),
    ],
)
def test_a_fleet_that_could_not_be_routed_is_refused(path: tuple[str | int, ...], new: object, problem: str) -> None:
    with pytest.raises(contract.ContractError, match=problem):
        contract.Fleet.from_value(replaced(golden("fleet.json"), path, new), "fleet.json")


@pytest.mark.parametrize("name", ["../model.onnx", "/model.onnx", ".hidden", "a/b", "a\nb", "a\\b", " a"])
def test_a_manifest_never_names_a_file_outside_its_folder(name: str) -> None:
    value = golden("manifest.json")
    value["files"][name] = value["files"]["model.onnx"]
    with pytest.raises(contract.ContractError, match="is not a plain file name"):
        contract.ModelManifest.from_value(value, "manifest.json")


def test_a_site_is_never_told_to_serve_what_no_router_would_accept() -> None:
    value = replaced(golden("releases.json"), ("accepted", "digits"), [])
    with pytest.raises(contract.ContractError, match=r"models\.digits\.aws: serves .*`accepted\.digits` does not list"):
        contract.EnvironmentReleases.from_value(value, "local.releases.json")


def test_the_release_digest_is_the_digest_of_the_manifest_s_bytes() -> None:
    assert release_digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(contract.ContractError, match=r"absent\.json: cannot be read: No such file"):
        contract.Fleet.read(tmp_path / "absent.json")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "fleet.json"
    write_file(target, b"old")
    with pytest.raises(TypeError):
        write_file(target, "not bytes")  # type: ignore[arg-type]  # the failure is the point
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.json"]


names = st.from_regex(r"[a-z]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
digests = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)
sites = st.builds(
    contract.FleetSite,
    name=names,
    cloud=names,
    region=st.text(),
    residency=st.text(),
    endpoint=st.none() | st.just(contract.Endpoint("https://192.0.2.1:8443", "serving.internal")),
    ca_certificate=st.none(),
    priority=st.integers(0, 127),
    weight=st.integers(1, 1000),
    cost_per_million=st.none() | st.floats(0, 1e6),
    capacity_per_s=st.none() | st.floats(0, 1e6),
    state=st.sampled_from(contract.SiteState),
)
fleets = st.builds(
    contract.Fleet,
    version=st.just(1),
    environment=names,
    models=st.dictionaries(names, st.lists(digests, max_size=3).map(tuple), max_size=3),
    sites=st.lists(sites, max_size=4, unique_by=lambda site: site.name).map(tuple),
)


@given(fleets)
def test_a_fleet_survives_writing_and_reading(fleet: contract.Fleet) -> None:
    assert contract.Fleet.parse(fleet.to_json()) == fleet
