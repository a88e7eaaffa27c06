"""Each site is believed only with a certificate of its own authority for its own name; we show ours."""

import json
import shutil
import socket
import ssl
import urllib.parse
from dataclasses import replace
from pathlib import Path

import pytest

from tests.failover.conftest import Sites
from tests.failover.load import Load, eventually
from tests.failover.rig import ask, router_for, secure_fleet
from tests.servers import Certificates, Server, infer_request, make_certificates, start_servers, write_model
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


def _renew(folder: Path, source: Path, *names: str) -> None:
    """Put files into a folder one by one by rename, as a mounted Secret is renewed."""
    for name in names:
        fresh = folder / f".{name}"
        fresh.write_bytes((source / name).read_bytes())
        fresh.rename(folder / name)


def _shows(server: Server, certificates: Certificates) -> bool:
    """Whether a server's certificate comes from this authority."""
    parts = urllib.parse.urlsplit(server.url)
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 443), 5) as plain,
            certificates.client_context().wrap_socket(plain, server_hostname=certificates.server_name),
        ):
            return True
    except (OSError, ssl.SSLError):
        return False


def test_certificates_of_both_sides_are_renewed_under_load(tmp_path: Path) -> None:
    release = write_model(tmp_path / "models")
    name = "serving.aws.local.trihull.internal"
    old, new = make_certificates(tmp_path / "old", name), make_certificates(tmp_path / "new", name)
    shown = tmp_path / "shown"
    shutil.copytree(old.client, shown)
    authorities = old.ca.read_text() + new.ca.read_text()
    (old.server / "ca.crt").write_text(authorities)  # the site lets in clients of either authority while both overlap
    with start_servers(tmp_path / "models", 2, tls=[old, old], logs=tmp_path) as servers:
        # the fleet trusts either authority, too
        overlapping = Certificates(old.server, old.client, tmp_path / "both.crt", name)
        overlapping.ca.write_text(authorities)
        fleet = secure_fleet(["aws", "gcp"], servers, [overlapping, overlapping], release)
        with router_for(tmp_path / "router", fleet, TRIHULL_TLS=str(shown)) as router:
            router.wait_health(aws="healthy", gcp="healthy")
            with Load(router.url, request=infer_request([[0.0] * 64])) as load:
                load.wait_site("aws")
                _renew(shown, new.client, "tls.key", "tls.crt")
                load.wait_more(80)
                _renew(old.server, new.server, "tls.key", "tls.crt")
                eventually(lambda: all(_shows(server, new) for server in servers), "the sites show the new one")
                load.wait_more(80)
                # only the new authority from here on
                renewed = Certificates(old.server, new.client, new.ca, name)
                secure_fleet(["aws", "gcp"], servers, [renewed, renewed], release).write(router.fleet_path)
                router.wait_event("config_applied", version=2)
                load.wait_more(160)
            assert load.lost == []
            router.wait_health(aws="healthy", gcp="healthy")
            assert not router.events("site_unhealthy")
