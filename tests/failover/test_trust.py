"""Each site is believed only with a certificate of its own authority for its own name; we show ours."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.failover.conftest import Sites
from tests.failover.rig import ask, router_for
from tests.servers import infer_request, make_certificates
from trihull_runtime.contract import Fleet

INFER = "/v2/models/digits/infer"


def _body() -> bytes:
    return json.dumps(infer_request([[0.0] * 64])).encode()


def _with_first(fleet: Fleet, change: str) -> Fleet:
    """A fleet whose first site is not to be believed."""
    aws, gcp, azure = fleet.sites
    endpoint, other = aws.endpoint, gcp.endpoint
    assert endpoint is not None
    assert other is not None
    if change == "the authority of another site":
        aws = replace(aws, ca_certificate=gcp.ca_certificate)
    elif change == "the name of another site":
        aws = replace(aws, endpoint=replace(endpoint, server_name=other.server_name))
    else:
        aws = replace(aws, endpoint=replace(endpoint, url=endpoint.url.replace("https:", "http:")))
    return replace(fleet, sites=(aws, gcp, azure))


@pytest.mark.parametrize(
    "change", ["the authority of another site", "the name of another site", "plain HTTP to a TLS port"]
)
def test_a_site_that_cannot_be_believed_gets_no_request(sites: Sites, tmp_path: Path, change: str) -> None:
    fleet = _with_first(sites.fleet, change)
    with router_for(tmp_path / "router", fleet, TRIHULL_TLS=sites.client) as router:
        router.wait_health(aws="unhealthy", gcp="healthy")
        status, headers, _ = ask(f"{router.url}{INFER}", "POST", _body())
        assert (status, headers["x-trihull-site"]) == (200, "gcp")


@pytest.mark.parametrize("certificate", ["none", "of an unknown authority"])
def test_without_a_certificate_that_sites_know_no_site_answers(sites: Sites, tmp_path: Path, certificate: str) -> None:
    own = {} if certificate == "none" else {"TRIHULL_TLS": str(make_certificates(tmp_path / "stranger").client)}
    with router_for(tmp_path / "router", sites.fleet, **own) as router:
        router.wait_health(aws="unhealthy", gcp="unhealthy", azure="unhealthy")
        assert ask(f"{router.url}{INFER}", "POST", _body())[0] == 503


def test_a_renewed_client_certificate_is_used_without_a_restart(sites: Sites, tmp_path: Path) -> None:
    stranger = make_certificates(tmp_path / "stranger").client
    with router_for(tmp_path / "router", sites.fleet, TRIHULL_TLS=str(stranger)) as router:
        router.wait_health(aws="unhealthy", gcp="unhealthy", azure="unhealthy")
        for name in ("tls.key", "tls.crt"):
            fresh = stranger / f".{name}"
            fresh.write_bytes((Path(sites.client) / name).read_bytes())
            fresh.rename(stranger / name)
        router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        assert ask(f"{router.url}{INFER}", "POST", _body())[0] == 200
