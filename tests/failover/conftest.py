"""Sites and routers for the failover scenarios."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.failover.rig import Router, fleet_of, router_for, secure_fleet
from tests.failover.standin import StandIn, start_standins
from tests.servers import Certificates, Server, health, make_certificates, start_servers, write_model
from trihull_runtime.contract import Fleet

NAMES = ["aws", "gcp", "azure"]


@dataclass
class Sites:
    """Three real model servers behind mutual TLS, each with an authority of its own."""

    servers: list[Server]
    certificates: list[Certificates]
    release: str

    @property
    def fleet(self) -> Fleet:
        """A fleet of them: aws first, then gcp, then azure."""
        return secure_fleet(NAMES, self.servers, self.certificates, self.release)

    @property
    def client(self) -> str:
        """The folder of the router's client certificate, made by the first site's authority."""
        return str(self.certificates[0].client)

    def restore(self) -> None:
        """Bring back whatever a test took down."""
        for server in self.servers:
            if server.process.poll() is None:
                server.thaw()
            if health(server.health_url) != 200:
                server.restart()


@pytest.fixture(scope="session")
def running_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    folder = tmp_path_factory.mktemp("sites")
    release = write_model(folder / "models")
    certificates = [make_certificates(folder / name, f"serving.{name}.local.trihull.internal") for name in NAMES]
    bundle = "".join(certificate.ca.read_text() for certificate in certificates)
    for index, (name, certificate) in enumerate(zip(NAMES, certificates, strict=True)):
        own = folder / f"{name}-ca.crt"
        own.write_text(certificate.ca.read_text())
        (certificate.server / "ca.crt").write_text(bundle)  # clients of every site's authority are let in
        certificates[index] = Certificates(certificate.server, certificate.client, own, certificate.server_name)
    with start_servers(folder / "models", 3, tls=certificates, logs=folder) as servers:
        yield Sites(servers, certificates, release)


@pytest.fixture
def sites(running_sites: Sites) -> Iterator[Sites]:
    """The real sites, whole again after each test."""
    yield running_sites
    running_sites.restore()


@pytest.fixture
def secure_router(sites: Sites, tmp_path: Path) -> Iterator[Router]:
    """A router of the real sites, every one of them healthy."""
    with router_for(tmp_path / "router", sites.fleet, TRIHULL_TLS=sites.client) as router:
        router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        yield router


@pytest.fixture
def standins() -> Iterator[dict[str, StandIn]]:
    """Three stand-ins: aws first, then gcp, then azure."""
    with start_standins(*NAMES) as sites:
        yield sites


@pytest.fixture
def router(standins: dict[str, StandIn], tmp_path: Path) -> Iterator[Router]:
    """A router of the stand-ins, every one of them healthy."""
    with router_for(tmp_path / "router", fleet_of(standins)) as router:
        router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        yield router


@pytest.fixture(scope="module")
def module_standins() -> Iterator[dict[str, StandIn]]:
    with start_standins(*NAMES) as sites:
        yield sites


@pytest.fixture(scope="module")
def module_router(module_standins: dict[str, StandIn], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with router_for(tmp_path_factory.mktemp("shared"), fleet_of(module_standins)) as router:
        yield router


@pytest.fixture
def shared_standins(module_standins: dict[str, StandIn]) -> dict[str, StandIn]:
    """Three stand-ins of the module, for tests that leave them as they were; they were asked nothing yet."""
    for site in module_standins.values():
        site.asked.clear()
    return module_standins


@pytest.fixture
def shared_router(module_router: Router, shared_standins: dict[str, StandIn]) -> Router:
    """A router of the module, for tests that leave it and its sites as they were; no event was told yet."""
    module_router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
    module_router.skip_events()
    return module_router
