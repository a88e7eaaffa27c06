"""An authority is replaced while sites are a generation apart: whoever is a step ahead or behind is still believed.

The certificates are real: what the program registers is made by the emulated tls provider, and verified by OpenSSL in
handshakes of both sides, and by `cryptography`.
"""

import datetime
import itertools
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_tls
import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from tests.parity import mocks
from trihull_infra import environment, naming
from trihull_infra.certificates import CA_HOURS, Certificates
from trihull_infra.cloud import Cloud
from trihull_infra.emulators.plugins import values
from trihull_infra.emulators.plugins.provider import Urn
from trihull_infra.emulators.plugins.tls import TlsProvider
from trihull_infra.provider import Site
from trihull_infra.spec.settings import CertificatesSpec

NOW = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)
GENERATIONS = (0, 1, 2, 3)
# What earlier versions registered; another name would be another resource, and this one gone.
EARLIER = {
    "certificates-ca-key", "certificates-ca",
    "certificates-serving-key", "certificates-serving-request", "certificates-serving",
    "certificates-router-key", "certificates-router-request", "certificates-router",
}  # fmt: skip


@dataclass
class Made:
    """A site's stack: what it made stays as long as its arguments do, as the engine would have it."""

    spec: environment.Environment
    cloud: Cloud
    state: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    now: datetime.datetime = NOW

    def up(self, generation: int, monkeypatch: pytest.MonkeyPatch) -> set[str]:
        """Deploy a generation; returns the names of its resources."""
        spec = self.spec.model_copy(update={"certificates": CertificatesSpec(generation=generation)})

        def program() -> None:
            tls = pulumi.ResourceOptions(providers=[pulumi_tls.Provider("tls")])
            made = Certificates("certificates", Site(spec, self.cloud), tls)
            pulumi.export("bundle", made.bundle)
            for leaf, key in ((made.serving, made.serving_key), (made.router, made.router_key)):
                pulumi.export(leaf._name.rstrip("0123456789"), leaf.cert_pem)
                pulumi.export(key._name.replace("-key", "").rstrip("0123456789") + "-key", key.private_key_pem)

        tokens = [token for token in mocks.COMPUTED if token.startswith("tls:")]
        monkeypatch.setattr(mocks, "COMPUTED", {token: self._maker(token) for token in tokens})
        self.replaced.clear()
        recording = mocks.run(program, project="site", stack="x", preview=False)
        names = {one.name for one in recording.resources if one.type in tokens}
        self.state = {key: kept for key, kept in self.state.items() if key[1] in names}
        self.outputs = mocks.opened(recording.exports)
        return names

    def _maker(self, token: str) -> Any:
        def make(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
            provider = TlsProvider(lambda: self.now)
            urn = Urn.parse(f"urn:pulumi:x::site::{token}::{name}")
            if (token, name) in self.state:
                old, state = self.state[token, name]
                if not provider.diff(urn, "1", old, state, inputs).replaces:
                    self.state[token, name] = (inputs, state)
                    return state
                self.replaced.append(name)
            outputs = provider.create(urn, inputs, False, 0)[1]
            plain = {key: value.value if isinstance(value, values.Secret) else value for key, value in outputs.items()}
            self.state[token, name] = (inputs, plain)
            return plain

        return make

    def context(self, folder: Path, leaf: str, trusted: str) -> ssl.SSLContext:
        """Return how the site's serving or router shows itself and whom it believes."""
        pem = folder / f"{self.cloud}-{leaf}"
        pem.write_text(self.outputs[f"certificates-{leaf}"] + self.outputs[f"certificates-{leaf}-key"])
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if leaf == "serving" else ssl.PROTOCOL_TLS_CLIENT)
        made.load_cert_chain(pem)
        made.load_verify_locations(cadata=trusted)
        made.verify_mode = ssl.CERT_REQUIRED
        return made


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Let both sides greet one another in memory; raises SSLError when one does not believe the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for side in itertools.islice(itertools.cycle(sides), 12):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    for side in sides:
        assert side.version() == "TLSv1.3"


@pytest.fixture(scope="module")
def spec(projects: Path) -> environment.Environment:
    return environment.load("local", projects / "environments")


@pytest.fixture(scope="module")
def at(spec: environment.Environment) -> dict[tuple[Cloud, int], Made]:
    """Two sites at every generation, each brought there step by step; made once, as tests only read them."""
    found: dict[tuple[Cloud, int], Made] = {}
    with pytest.MonkeyPatch.context() as patch:
        for cloud in (Cloud.AWS, Cloud.GCP):
            site = Made(spec, cloud)
            for generation in GENERATIONS:
                site.up(generation, patch)
                found[cloud, generation] = Made(spec, cloud, outputs=dict(site.outputs))
    return found


@pytest.mark.parametrize("ahead", GENERATIONS)
@pytest.mark.parametrize("behind", GENERATIONS)
def test_leaves_are_believed_by_sites_a_step_apart_and_by_no_others(
    at: dict[tuple[Cloud, int], Made], ahead: int, behind: int
) -> None:
    site, bundle = at[Cloud.AWS, ahead], at[Cloud.AWS, behind].outputs["bundle"]
    store = Store(x509.load_pem_x509_certificates(bundle.encode()))
    policy = PolicyBuilder().store(store).time(NOW + datetime.timedelta(hours=1))
    server = policy.build_server_verifier(x509.DNSName(naming.server_name("local", Cloud.AWS)))
    client = policy.build_client_verifier()
    leaves: tuple[tuple[Callable[[x509.Certificate, list[x509.Certificate]], object], str], ...] = (
        (server.verify, site.outputs["certificates-serving"]),
        (client.verify, site.outputs["certificates-router"]),
    )
    for verify, pem in leaves:
        leaf = x509.load_pem_x509_certificate(pem.encode())
        if abs(ahead - behind) <= 1:
            assert verify(leaf, [])
        else:
            with pytest.raises(VerificationError):
                verify(leaf, [])


def _meet(at: dict[tuple[Cloud, int], Made], folder: Path, serving: int, router: int, known: tuple[int, int]) -> None:
    """Let the router of aws call the serving of gcp; `known` are the generations that the fleet has of both."""
    fleet = at[Cloud.AWS, known[0]].outputs["bundle"] + at[Cloud.GCP, known[1]].outputs["bundle"]
    server = at[Cloud.GCP, serving].context(folder, "serving", fleet)
    client = at[Cloud.AWS, router].context(folder, "router", at[Cloud.GCP, known[1]].outputs["bundle"])
    handshake(server, client, naming.server_name("local", Cloud.GCP))


@pytest.mark.parametrize("step", [(0, 1), (1, 2), (2, 3)])
def test_in_every_state_of_a_step_routers_and_sites_believe_each_other(
    at: dict[tuple[Cloud, int], Made], tmp_path: Path, step: tuple[int, int]
) -> None:
    """Serving, router, and what the fleet says of either: each may be at the old or the new generation."""
    for serving, router, *known in itertools.product(step, repeat=4):
        _meet(at, tmp_path, serving, router, (known[0], known[1]))


def test_two_steps_at_once_are_too_many(at: dict[tuple[Cloud, int], Made], tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError):
        _meet(at, tmp_path, 2, 0, (0, 0))


def test_generation_0_keeps_what_earlier_versions_made_and_adds_the_next_authority(
    spec: environment.Environment, monkeypatch: pytest.MonkeyPatch, cloud: Cloud
) -> None:
    site = Made(spec, cloud)
    assert site.up(0, monkeypatch) == EARLIER | {"certificates-ca1-key", "certificates-ca1"}
    before = dict(site.outputs)
    site.up(0, monkeypatch)
    assert (site.replaced, site.outputs) == ([], before)


def test_a_step_makes_new_leaves_and_one_authority_and_replaces_none(
    spec: environment.Environment, monkeypatch: pytest.MonkeyPatch, cloud: Cloud
) -> None:
    site = Made(spec, cloud)
    before = site.up(1, monkeypatch)
    old = x509.load_pem_x509_certificates(site.outputs["bundle"].encode())
    after = site.up(2, monkeypatch)
    assert site.replaced == [], "an authority that others know of stays what it is"
    assert {name for name in after - before if "ca" in name.split("-")[1]} == {
        "certificates-ca3-key",
        "certificates-ca3",
    }
    assert {name for name in before - after if "ca" in name.split("-")[1]} == {"certificates-ca-key", "certificates-ca"}
    new = x509.load_pem_x509_certificates(site.outputs["bundle"].encode())
    assert len(set(old) & set(new)) == 2
    signing = x509.load_pem_x509_certificate(site.outputs["certificates-serving"].encode()).issuer
    assert new[0].subject == signing, "the signing authority comes first"
    assert signing in {each.subject for each in old}, "others knew it before it signed"


def test_the_next_authority_never_waits_until_it_is_old(
    spec: environment.Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Made(spec, Cloud.AWS)
    site.up(0, monkeypatch)
    site.now = NOW + datetime.timedelta(hours=CA_HOURS // 5 + 1)
    site.up(0, monkeypatch)
    assert [name for name in site.replaced if name.startswith("certificates-ca")] == ["certificates-ca1"]
    site.now += datetime.timedelta(hours=CA_HOURS // 5 + 1)
    site.up(1, monkeypatch)
    assert "certificates-ca1" not in site.replaced, "what the others know signs now, however old it is"
