"""Every site and every router is compared, each by itself: one that answers otherwise than its release is found."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from tests.servers import Certificates
from tests.unit.infra.answers.conftest import OTHER, RELEASE, SITES, World, site_outputs
from trihull_infra.answers.comparing import compare, tls_context
from trihull_infra.answers.targets import Credentials, targets
from trihull_infra.errors import SpecError
from trihull_runtime.contract import (
    SiteState,
)
from trihull_runtime.errors import InputError, LostError


def table(result: Result) -> list[list[str]]:
    return [line.split() for line in result.stdout.splitlines()[1:]]


def test_every_site_answers_every_row_itself_and_every_router_says_who_did(world: World) -> None:
    result = world.run()
    assert result.exception is None, result.output
    assert table(result) == [[site, "7", "7", site, "7", "ok"] for site in SITES] + [
        ["router", "on", site, "7", "7", "aws", "7", "ok"] for site in ("aws", "azure", "gcp")
    ]
    for stand_in in (*world.sites.values(), *world.routers.values()):
        assert sorted(stand_in.asked) == list(range(7)), "each row once"


@pytest.mark.parametrize("site", SITES)
def test_one_site_that_serves_another_model_is_found_though_every_router_answers_rightly(
    world: World, site: str
) -> None:
    world.sites[site].wrong_rows = {5}
    result = world.run()
    assert isinstance(result.exception, LostError)
    assert result.exception.exit_code == 3
    assert f"1 of 6 do not answer as the released model does\n  {site}: 1 of 7 rows differ" in str(result.exception)
    assert [line for line in table(result) if line[-1] == "DIFFERS"] == [[site, "7", "6", site, "7", "DIFFERS"]]


def test_a_router_that_answers_wrongly_is_found(world: World) -> None:
    world.routers["gcp"].wrong_rows = {0, 1}
    result = world.run("--json")
    value = json.loads(result.stdout)
    assert value["equal"] is False
    assert [(each["name"], each["router"]) for each in value["targets"] if each["problem"]] == [("gcp", True)]
    assert "2 of 7 rows differ" in str(result.exception)


def test_a_site_that_says_another_release_is_found_though_its_answers_are_equal(world: World) -> None:
    world.sites["azure"].release = OTHER
    result = world.run()
    assert f"azure: it serves release {OTHER}, expected {RELEASE}" in str(result.exception)


def test_another_site_at_a_site_s_address_is_not_believed(world: World) -> None:
    world.sites["gcp"], world.sites["aws"] = (
        replace(world.sites["gcp"], url=world.sites["aws"].url),
        world.sites["aws"],
    )
    world.write()
    result = world.run("--site", "gcp")
    assert "gcp: https://127.0.0.1" in str(result.exception)
    assert "CERTIFICATE_VERIFY_FAILED" in str(result.exception)
    assert world.sites["aws"].asked == []


def test_lost_requests_and_a_site_that_is_down_are_problems_and_the_others_are_asked_all_the_same(
    world: World,
) -> None:
    world.sites["aws"].lost_rows = {3}
    world.sites["gcp"].url = "https://127.0.0.1:9"
    world.write()
    result = world.run()
    said = str(result.exception)
    assert "aws: 1 of 3 requests were lost: rows 3 to 5" in said
    assert "gcp: https://127.0.0.1:9: cannot be reached" in said
    assert [line[-1] for line in table(result)] == ["DIFFERS", "DIFFERS", "ok", "ok", "ok", "ok"]


def test_only_the_sites_that_are_named_are_asked(world: World) -> None:
    result = world.run("--site", "gcp")
    assert result.exception is None, result.output
    assert [line[0] for line in table(result)] == ["gcp", "router"]
    assert world.sites["aws"].asked == []


def test_a_router_that_does_not_say_who_answered_is_none_of_ours(world: World) -> None:
    world.routers["aws"].says = None
    assert "router on aws: it does not say which site answered" in str(world.run("--site", "aws").exception)


def test_sites_of_different_releases_are_compared_each_with_its_own_and_routers_cannot_be(world: World) -> None:
    world.release({"aws": RELEASE, "gcp": OTHER, "azure": RELEASE})
    world.sites["gcp"].release = OTHER
    result = world.run()
    assert [line[-1] for line in table(result)] == ["ok", "ok", "ok", "DIFFERS", "DIFFERS", "DIFFERS"]
    assert "router on aws: sites serve 2 releases" in str(result.exception)


def test_routers_that_want_a_key_are_left_out_by_name(world: World) -> None:
    path = world.stacks / "environments" / "local.yaml"
    path.write_text(path.read_text().replace("timings: lab}", "timings: lab, clients_secret: keys}"))
    result = world.run()
    assert result.exception is None, result.output
    assert "3 routers were not asked: they want a client's key" in result.stdout
    assert world.routers["aws"].asked == []


def test_what_cannot_be_asked_says_why(world: World) -> None:
    assert isinstance(world.run("--model", "faces").exception, SpecError)
    fleet = world.documents.read_fleet()
    assert fleet is not None
    releases = world.documents.read_releases()
    ours = replace(fleet, sites=(replace(fleet.sites[0], endpoint=None), fleet.sites[1]))
    found = targets(ours, releases, world.documents.folder, {}, {}, "digits")
    assert [each.problem for each in found] == [
        "it is not deployed; run `trihull up local`",
        "its site stack gives no client certificate to ask with",
    ]
    assert [compare(each, "digits", 3, 1.0).problem for each in found] == [each.problem for each in found]
    world.documents.fleet.unlink()
    assert "deploy the environment first" in str(world.run().exception)


def test_a_disabled_site_is_not_asked(world: World) -> None:
    world.state = SiteState.DISABLED
    world.write()
    result = world.run()
    assert [line[0] for line in table(result)] == ["router"] * 3


def test_the_key_is_on_disk_only_while_it_is_loaded(
    authorities: dict[str, Certificates], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = site_outputs("aws", authorities["aws"])
    context = tls_context(Credentials(made.ca_certificate, made.router_certificate, made.router_key))
    assert context.cert_store_stats()["x509_ca"] == 1
    with pytest.raises(InputError):
        tls_context(Credentials(made.ca_certificate, made.router_certificate, "no key"))
    assert list(tmp_path.iterdir()) == []
