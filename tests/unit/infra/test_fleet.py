from dataclasses import replace
from pathlib import Path

import pytest

from trihull_infra import environment, fleet
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment
from trihull_infra.routers import ClassSpec
from trihull_runtime.contract import (
    Canary,
    DataType,
    Endpoint,
    EnvironmentReleases,
    Fleet,
    FleetSite,
    KnownAnswer,
    KnownTensor,
    ResidencyClass,
    Routing,
    ServedModel,
    ServingOutputs,
    Shadow,
    SiteOutputs,
    SiteState,
)

DIGEST = f"sha256:{'a' * 64}"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
RELEASES = EnvironmentReleases(1, "local", {}, {"digits": (DIGEST,)})


@pytest.fixture(scope="module")
def local() -> Environment:
    return environment.load("local", Path(__file__).parents[3] / "stacks" / "environments")


def site(cloud: Cloud, mark: str) -> SiteOutputs:
    return SiteOutputs(
        version=1,
        environment="local",
        cloud=cloud.value,
        region="from the stack",
        residency="from the stack",
        cluster_name="trihull-local",
        kubernetes_version="1.34",
        kubeconfig="secret",
        registry="oci-layout:///registry",
        bucket="file:///bucket",
        identities={},
        ca_certificate=CERTIFICATE.format(mark),
        router_certificate=CERTIFICATE.format("router"),
        router_key="secret",
        serving_certificate=CERTIFICATE.format("serving"),
        serving_key="secret",
        node_pools=(),
    )


def serving(cloud: Cloud, port: int) -> ServingOutputs:
    endpoint = Endpoint(f"https://127.0.0.1:{port}", f"serving.{cloud}.local.trihull.internal")
    return ServingOutputs(1, endpoint, {"digits": ServedModel("1", DIGEST)})


def ports(document: Fleet) -> list[int | None]:
    return [one.endpoint.port if one.endpoint is not None else None for one in document.sites]


def test_every_cloud_of_the_environment_is_a_site_even_before_anything_was_deployed(local: Environment) -> None:
    document = fleet.assemble(local, RELEASES, {}, {}, None)
    assert [one.name for one in document.sites] == ["aws", "gcp", "azure"]
    assert ports(document) == [None, None, None]
    assert [one.priority for one in document.sites] == [0, 1, 2]
    assert [one.region for one in document.sites] == ["eu-central-1", "europe-west4", "westeurope"]
    assert document.models == {"digits": (DIGEST,)}


def test_a_cloud_that_gave_nothing_keeps_its_last_endpoint_and_certificate(local: Environment) -> None:
    everything = {cloud: site(cloud, f"old {cloud}") for cloud in Cloud}
    answers = {cloud: serving(cloud, 8000 + index) for index, cloud in enumerate(Cloud)}
    before = fleet.assemble(local, RELEASES, everything, answers, None)
    after = fleet.assemble(
        local, RELEASES, {Cloud.AWS: site(Cloud.AWS, "new")}, {Cloud.AWS: serving(Cloud.AWS, 9000)}, before
    )
    assert ports(after) == [9000, 8001, 8002]
    certificates = [one.ca_certificate for one in after.sites]
    assert certificates == [CERTIFICATE.format(mark) for mark in ("new", "old gcp", "old azure")]


def test_a_site_that_is_up_before_its_serving_has_a_certificate_and_no_endpoint(local: Environment) -> None:
    document = fleet.assemble(local, RELEASES, {Cloud.GCP: site(Cloud.GCP, "gcp")}, {}, None)
    assert document.sites[1].ca_certificate == CERTIFICATE.format("gcp")
    assert document.sites[1].endpoint is None


def test_what_an_operator_set_is_kept_and_what_the_environment_says_is_not(local: Environment) -> None:
    known = FleetSite(
        name="gcp",
        cloud="gcp",
        region="elsewhere",
        residency="us",
        endpoint=None,
        ca_certificate=None,
        priority=9,
        weight=9,
        cost_per_million=1.5,
        capacity_per_s=70.0,
        state=SiteState.DRAINING,
    )
    gone = FleetSite("oracle", "oracle", "x", "x", None, None, 0, 1)
    document = fleet.assemble(local, RELEASES, {}, {}, Fleet(1, "local", {}, (known, gone)))
    assert [one.name for one in document.sites] == ["aws", "gcp", "azure"]
    kept = document.sites[1]
    assert (kept.state, kept.cost_per_million, kept.capacity_per_s) == (SiteState.DRAINING, 1.5, 70.0)
    assert (kept.region, kept.residency, kept.priority, kept.weight) == ("europe-west4", "eu", 1, 100)


def test_assembling_twice_gives_the_same_and_no_secret(local: Environment) -> None:
    sites = {cloud: site(cloud, cloud.value) for cloud in Cloud}
    answers = {cloud: serving(cloud, 8000) for cloud in Cloud}
    once = fleet.assemble(local, RELEASES, sites, answers, None)
    assert fleet.assemble(local, RELEASES, sites, answers, once) == once
    assert "secret" not in once.to_json()


def test_a_site_taken_down_on_purpose_loses_endpoint_and_certificate(local: Environment) -> None:
    answers = {cloud: serving(cloud, 8000 + index) for index, cloud in enumerate(Cloud)}
    before = fleet.assemble(local, RELEASES, {cloud: site(cloud, "x") for cloud in Cloud}, answers, None)
    after = fleet.without(before, {"aws"})
    assert ports(after) == [None, 8001, 8002]
    assert after.sites[0].ca_certificate is None
    assert after.sites[1:] == before.sites[1:]


def test_the_environments_rules_stand_in_the_fleet(local: Environment) -> None:
    spec = local.model_copy(
        update={
            "routing": local.routing.model_copy(
                update={"classes": {"strict": ClassSpec(residencies=("eu",), hosts=("eu.example.org",))}}
            )
        }
    )
    found = fleet.assemble(spec, RELEASES, {}, {}, None).routing
    assert found.classes == {"strict": ResidencyClass(("eu",), ("eu.example.org",))}
    assert found.max_in_flight == 4096


def test_what_an_operator_said_is_kept_as_long_as_it_is_about_something(local: Environment) -> None:
    first = fleet.assemble(local, RELEASES, {}, {}, None)
    told = Routing(
        canaries={"digits": Canary(("gcp",), 5)}, shadows={"digits": Shadow("azure", 10)}, repeatable=("/explain",)
    )
    again = fleet.assemble(local, RELEASES, {}, {}, replace(first, routing=told)).routing
    assert (again.canaries, again.shadows, again.repeatable) == (told.canaries, told.shadows, told.repeatable)
    other = EnvironmentReleases(1, "local", {}, {"iris": (DIGEST,)})
    gone = fleet.assemble(local, other, {}, {}, replace(first, routing=told)).routing
    assert (gone.canaries, gone.shadows) == ({}, {})


def test_known_answers_are_of_models_that_there_are(local: Environment) -> None:
    tensor = KnownTensor("x", DataType.FP32, (1,), (1.0,))
    answer = KnownAnswer(DIGEST, (tensor,), (tensor,))
    found = fleet.assemble(local, RELEASES, {}, {}, None, {"digits": (answer,), "gone": (answer,)})
    assert found.routing.known_answers == {"digits": (answer,)}
