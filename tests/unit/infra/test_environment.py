"""Environments: what a person writes, and how mistakes in it are told."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.infra.written import refused, write
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment, Timings, load
from trihull_infra.errors import SpecError
from trihull_runtime.contract import Policy

REPOSITORY = Path(__file__).parents[3]
ENVIRONMENTS = REPOSITORY / "stacks" / "environments"


@pytest.fixture
def spec() -> dict[str, Any]:
    value = yaml.safe_load((ENVIRONMENTS / "local.yaml").read_text())
    assert isinstance(value, dict)
    return value


def change(spec: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    *parents, last = path.split(".")
    inner = spec
    for part in parents:
        inner = inner[part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return spec


def test_local_has_three_clouds_and_touches_no_account() -> None:
    local = load("local", ENVIRONMENTS)
    assert local.clouds == (Cloud.AWS, Cloud.GCP, Cloud.AZURE)
    assert [local.site(cloud).account for cloud in local.clouds] == [
        "123456789012",
        "trihull-local",
        "00000000-0000-0000-0000-000000000000",
    ]
    assert [local.site(cloud).priority for cloud in local.clouds] == [0, 1, 2]
    assert (local.routing.policy, local.routing.timings) == (Policy.PRIORITY, Timings.LAB)


def test_dev_has_one_cheap_cloud() -> None:
    dev = load("dev", ENVIRONMENTS)
    assert dev.clouds == (Cloud.AWS,)
    assert dev.pools.serving.spot_share == 1
    assert not dev.protect


def test_labels_name_environment_and_owner() -> None:
    assert load("dev", ENVIRONMENTS).labels == {
        "application": "trihull",
        "environment": "dev",
        "owner": "you",
        "cost_centre": "trials",
    }


def test_a_cloud_that_the_environment_lacks_is_named() -> None:
    with pytest.raises(SpecError, match=r"dev\.yaml: clouds\.gcp: is missing; this environment has aws"):
        load("dev", ENVIRONMENTS).site(Cloud.GCP)


@pytest.mark.parametrize(
    ("path", "value", "line", "expected"),
    [
        ("clouds.ibm", {}, "clouds.ibm", "is unknown; known here: aws, gcp, azure"),
        ("colour", "red", "colour", "is unknown; known here: version, name, owner"),
        ("pools.serving.gpu", 1, "pools.serving.gpu", "is unknown; known here: machine, nodes_min, nodes_max"),
        ("owner", ..., "owner", "is missing; expected who answers for it"),
        ("clouds.gcp.project", ..., "clouds.gcp.project", "is missing; expected a project id"),
        ("clouds", {}, "clouds", "expected at least one of aws, gcp, azure"),
        ("protect", "no", "protect", 'expected true or false: whether clusters, keys and data are guarded'),
        ("kubernetes_version", 1.34, "kubernetes_version", 'a minor version in quotes, one that every cloud'),
        ("kubernetes_version", 1.34, "kubernetes_version", 'found 1.34; write it in quotes: "1.34"'),
        ("kubernetes_version", "1.19", "kubernetes_version", 'found "1.19", which aws and gcp and azure have not'),
        ("kubernetes_version", "1.99", "kubernetes_version", 'every cloud of the environment offers, 1.31, 1.32, 1.33'),
        ("kubernetes_version", "1.37", "kubernetes_version", 'found "1.37", which aws and gcp have not'),
        ("clouds.aws.region", "eu-centrl-1", "clouds.aws.region", 'found "eu-centrl-1"; did you mean eu-central-1;'),
        ("clouds.gcp.region", "europe-west5", "clouds.gcp.region", "a region of gcp (data/regions.toml), found"),
        ("clouds.azure.region", "westeurop", "clouds.azure.region", "; did you mean westeurope; a region that"),
        ("clouds.aws.account", "210987654321", "clouds.aws.account", 'expected "123456789012", which is the emulators'),
        ("clouds.gcp.project", "my-models", "clouds.gcp.project", 'expected "trihull-local", which is the emulators'),
        ("clouds.azure.subscription", "0" * 8 + "-1111-1111-1111-" + "0" * 12, "clouds.azure.subscription",
         "a real subscription belongs in an environment of another name"),
        ("serving.cpu", "2", "serving.cpu", "at most 1900m, which is what a node of pool serving has"),
        ("serving.memory", "8Gi", "serving.memory", "at most 6248Mi, which is what a node of pool serving has"),
        ("pools.serving.machine", "small-arm-2", "pools.serving.machine", "; did you mean small-arm?"),
        ("kubernetes_version", "latest", "kubernetes_version", 'found "latest"'),
        ("clouds.aws.account", 123456789012, "clouds.aws.account", "a 12-digit account number, in quotes"),
        ("clouds.aws.account", "12345678901٣", "clouds.aws.account", "a 12-digit account number"),
        ("clouds.aws.zones", ["eu-central-1a"], "clouds.aws.zones", "two or three zones"),
        ("clouds.aws.zones", ["eu-central-1a", "us-east-1a"], "clouds.aws.zones", 'found "us-east-1a"'),
        ("clouds.gcp.zones", ["europe-west4-a", "europe-west4-a"], "clouds.gcp.zones", "expected different zones"),
        ("clouds.azure.zones", ["1", "9"], "clouds.azure.zones.1", 'found "9"'),
        ("clouds.aws.administrators", [], "clouds.aws.administrators", "found an empty list"),
        ("clouds.gcp.administrators", ["someone"], "clouds.gcp.administrators.0", 'found "someone"'),
        ("api_server.authorised_networks", ["10.0.0.1/8"], "api_server.authorised_networks.0", "203.0.113.7/32"),
        ("pools.serving.machine", "huge", "pools.serving.machine", "expected one of small, small-arm, t4"),
        ("pools.serving.nodes_max", 1, "pools.serving.nodes_max", "expected at least nodes_min, 2, found 1"),
        ("pools.serving.nodes_min", 0, "pools.serving.nodes_min", "found 0"),
        ("pools.serving.nodes_min", True, "pools.serving.nodes_min", "found true"),
        ("pools.serving.spot_share", 1.5, "pools.serving.spot_share", "a number from 0 (none) to 1 (all), found 1.5"),
        ("pools.serving.spot_share", "0.5", "pools.serving.spot_share", "a number from 0 (none) to 1 (all)"),
        ("pools.serving.spot_share", True, "pools.serving.spot_share", "a number from 0 (none) to 1 (all)"),
        ("pools.system", {"machine": "t4", "nodes_min": 1, "nodes_max": 1}, "pools.system.machine", "without an"),
        ("pools.accelerator", {"machine": "small", "nodes_max": 1, "spot_share": 0}, "pools.accelerator.machine",
         "with an accelerator: t4"),
        ("serving.pool", "accelerator", "serving", "found accelerator; ask for it in pools.accelerator"),
        ("serving.pool", "system", "serving.pool", "the pool that replicas run on"),
        ("serving.accelerators", 1, "serving.accelerators", "say `pool: accelerator`"),
        ("serving.cpu", "a lot", "serving.cpu", "a CPU request such as 250m or 0.5 or 4"),
        ("serving.memory", "512M", "serving.memory", "such as 512Mi"),
        ("api_server.authorised_networks", ["0.0.0.0/0"], "api_server.authorised_networks",
         "found 0.0.0.0/0, which is everybody; if that is meant, say `open_to_everybody: true`"),
        ("api_server.authorised_networks", ["10.0.0.0/8"] * 2, "api_server.authorised_networks", "different networks"),
        ("upgrades", {"start_utc": "24:00"}, "upgrades.start_utc", 'when the window opens, such as "02:00"'),
        ("upgrades", {"days": ["sunday", "sunday"]}, "upgrades.days", "expected different days"),
        ("upgrades", {"days": ["Sunday"]}, "upgrades.days.0", "days on which work may begin"),
        ("upgrades", {"hours": 2}, "upgrades.hours", "a whole number from 4 to 24"),
        ("retention", {"logs_days": 77}, "retention.logs_days", "one of 30, 60, 90"),
        ("keys", {"own": "yes"}, "keys.own", "keys in your account"),
        ("keys", {"rotation_days": 30}, "keys.rotation_days", "from 90 to 730"),
        ("ci", {"issuer": "http://ci", "subject": "a"}, "ci.issuer", "the issuer's URL"),
        ("ci", {"issuer": "https://ci.example", "subject": "repo:acme/*"}, "ci.subject", "whole and without *"),
        ("certificates", {"generation": -1}, "certificates.generation", "found -1"),
        ("clouds.aws.existing", {"cluster": "a"}, "clouds.aws.existing.cluster", "expected existing.network as well"),
        ("clouds.aws.existing", {"network": {"id": "vpc-1", "private_subnets": ["subnet-0123456789abcdef0"] * 2}},
         "clouds.aws.existing.network.id", "a VPC's id"),
        ("clouds.azure.existing", {"key": "a"}, "clouds.azure.existing.key", "expected existing.vault as well"),
        ("clouds.gcp.existing", {"key": "a"}, "clouds.gcp.existing.key", "projects/.../cryptoKeys/..."),
        ("clouds.gcp.tags", {"CostCenter": "x"}, "clouds.gcp.tags.CostCenter", "more labels, on this cloud only"),
        ("clouds.aws.overrides", {"a b": {}}, "clouds.aws.overrides.a b", "the escape hatch"),
        ("clouds.kubernetes", {"region": "here", "residency": "eu", "context": "c", "registry": "models",
         "bucket": "s3://b"}, "clouds.kubernetes.registry", "host/repository that its nodes pull from"),
        ("cost_centre", "A B", "cost_centre", "who pays for it"),
        ("serving.replicas_max", 1, "serving.replicas_max", "expected at least replicas_min, 2"),
        ("routing.policy", "random", "routing.policy", 'one of local-first, priority, weighted, fastest, found'),
        ("routing.replicas_max", "2", "routing.replicas_max", "expected a whole number, at least replicas"),
        ("routing.default_class", "x", "routing.default_class", "expected one of classes: there are none"),
        ("routing.classes", {"a": {"residencies": []}}, "routing.classes.a.residencies", "found an empty list"),
        ("routing.classes", {"a": {"residencies": ["moon"]}}, "routing", "those of the clouds, eu; found moon"),
        ("routing.hedge_after_s", 0, "routing.hedge_after_s", "seconds after which a second site is asked too"),
        ("routing.tls_secret", "A_b", "routing.tls_secret", "a Secret of namespace trihull"),
        ("routing.timings", 5, "routing.timings", "wan (between clouds) or lab (one machine), found 5"),
        ("tags", {"owner": "x"}, "tags", "expected other names than trihull's own: owner"),
        ("tags", {"Team": "x"}, "tags.Team", "a-z 0-9"),
        ("tags", ["a"], "tags", "found a list"),
        ("version", 2, "version", "expected the number 1, found 2"),
        ("name", "prod", "name", 'expected local, as the file is called, found "prod"'),
        ("clouds.aws", None, "clouds", "expected"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_key_and_expectation(
    tmp_path: Path, spec: dict[str, Any], path: str, value: object, line: str, expected: str
) -> None:
    if path == "clouds.aws":
        spec["clouds"] = {"aws": None}
    else:
        change(spec, path, value)
    (problem,) = refused(tmp_path, spec)
    assert problem.startswith(str(tmp_path / "local.yaml"))
    assert f": {line}: " in problem
    assert expected in problem


DNS = {"cloud": "aws", "zone": "Z0123456789LOCAL", "name": "models.example.com"}


@pytest.mark.parametrize(
    ("changes", "line", "expected"),
    [
        ({"cloud": "ibm"}, "dns.cloud", "the cloud that hosts the zone"),
        ({"zone": "example.com"}, "dns.zone", "the id of a Route 53 hosted zone, such as Z0123456789ABCDEFGHIJ"),
        ({"zone": 5}, "dns.zone", "an existing zone, as its cloud names it, found 5"),
        ({"cloud": "gcp", "zone": "Example"}, "dns.zone", "the name of a Cloud DNS managed zone, such as example-com"),
        ({"cloud": "gcp", "zone": "a", "resource_group": "b"}, "dns.resource_group", "gcp has no resource groups"),
        ({"cloud": "azure", "zone": "example.com"}, "dns.resource_group", "the resource group that the zone lies in"),
        ({"name": "models"}, "dns.name", "a full name inside the zone, such as models.example.com"),
        ({"name": "Models.example.com"}, "dns.name", 'found "Models.example.com"'),
        ({"ttl_s": 0}, "dns.ttl_s", "a whole number from 1 to 3600"),
        ({"ttl_s": "30"}, "dns.ttl_s", 'found "30"'),
        ({"health_path": "routerz"}, "dns.health_path", "a path such as /routerz"),
        ({"weight": 1}, "dns.weight", "is unknown; known here: cloud, zone, resource_group, name, ttl_s"),
    ],
)
def test_a_mistake_in_dns_is_told_with_key_and_expectation(
    tmp_path: Path, spec: dict[str, Any], changes: dict[str, object], line: str, expected: str
) -> None:
    (problem,) = refused(tmp_path, {**spec, "dns": {**DNS, **changes}})
    assert f": {line}: " in problem
    assert expected in problem


def test_a_name_outside_an_azure_zone_is_refused(tmp_path: Path, spec: dict[str, Any]) -> None:
    azure = {"cloud": "azure", "zone": "example.com", "resource_group": "dns"}
    (problem,) = refused(tmp_path, {**spec, "dns": {**azure, "name": "models.example.org"}})
    assert ": dns.name: expected a name that ends in .example.com" in problem
    write(tmp_path, {**spec, "dns": {**azure, "name": "models.example.com"}})
    assert load("local", tmp_path).dns is not None


def test_the_zone_is_hosted_by_a_cloud_of_the_environment(tmp_path: Path, spec: dict[str, Any]) -> None:
    del spec["clouds"]["aws"]
    (problem,) = refused(tmp_path, {**spec, "dns": DNS})
    assert ": dns: expected cloud to be one of this environment's, found aws" in problem


def test_dns_has_defaults_and_may_be_left_out(tmp_path: Path, spec: dict[str, Any]) -> None:
    dns = load("local", write(tmp_path, {**spec, "dns": DNS})).dns
    assert dns is not None
    assert (dns.ttl_s, dns.health_path, dns.cloud) == (30, "/routerz", Cloud.AWS)
    spec.pop("dns", None)
    assert load("local", write(tmp_path, spec)).dns is None


def test_routers_are_scaled_only_where_a_maximum_is_given(tmp_path: Path, spec: dict[str, Any]) -> None:
    assert load("local", write(tmp_path, spec)).routing.most == 1
    spec["routing"] |= {"replicas": 2, "replicas_max": 6, "policy": "weighted"}
    routing = load("local", write(tmp_path, spec)).routing
    assert (routing.most, routing.policy) == (6, Policy.WEIGHTED)
    spec["routing"]["replicas_max"] = 1
    (problem,) = refused(tmp_path, spec)
    assert ": routing.replicas_max: expected at least replicas, 2, found 1" in problem


def test_all_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = (ENVIRONMENTS / "local.yaml").read_text()
    text = text.replace("owner: local", "owner: Local").replace("region: europe-west4", "region: 7")
    text = text.replace("policy: priority", "policy: random")
    problems = refused(tmp_path, text)
    assert len(problems) == 3
    lines = text.splitlines()
    for problem, key in zip(problems, ("owner", "region", "policy"), strict=True):
        number = int(problem.removeprefix(f"{tmp_path / 'local.yaml'}:").partition(":")[0])
        assert key in lines[number - 1]


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "version: 1\nname: [local\nowner: x\n")
    assert problem.startswith(f"{tmp_path / 'local.yaml'}:3: is not valid YAML")


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "version: 1\nname: local\nname: local\n")
    assert problem.endswith(':3: is not valid YAML: "name" stands twice')


@pytest.mark.parametrize("text", ["", "- a\n", "just text", "42"])
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    (problem,) = refused(tmp_path, text)
    assert "expected keys and values" in problem


def test_python_objects_are_never_made(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "version: !!python/object/apply:os.system ['true']\n")
    assert "is not valid YAML" in problem


def test_an_unknown_environment_lists_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"there is no environment 'prdo'; environments here: dev, local"):
        load("prdo", ENVIRONMENTS)


def test_a_name_never_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("a: b")
    (tmp_path / "environments").mkdir()
    with pytest.raises(SpecError, match="there is no environment"):
        load("../secret", tmp_path / "environments")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "local.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(SpecError, match="cannot be read"):
        load("local", tmp_path)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_and_never_crashes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "local.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(SpecError):
        load("local", folder)


def test_an_environment_cannot_be_changed() -> None:
    local = load("local", ENVIRONMENTS)
    with pytest.raises(ValueError, match="frozen"):
        local.name = "other"


def test_every_key_is_explained_in_the_docs() -> None:
    text = (REPOSITORY / "docs" / "environments.md").read_text()

    def keys(model: Any, prefix: str = "") -> set[str]:
        found = set()
        for name, field in model.model_fields.items():
            key = f"{prefix}{field.alias or name}"
            found.add(key)
            options = [field.annotation, *getattr(field.annotation, "__args__", ())]
            for option in options:
                if isinstance(option, type) and hasattr(option, "model_fields"):
                    found |= keys(option, f"{key}.")
        return found

    missing = sorted(key for key in keys(Environment) if f"`{key.rpartition('.')[2]}`" not in text)
    assert not missing, f"docs/environments.md says nothing of {missing}"
