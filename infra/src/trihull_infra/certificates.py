"""Each site's own certificate authorities, the certificate that its serving shows, and the one its router shows.

Made by pulumi_tls, so the keys live in the stack's state as secrets. Serving trusts every site's authorities (the fleet
carries the certificates, which are public); a router's certificate comes from its own site's. Leaves are renewed at the
first `up` in the last third of their life.

An authority is replaced by raising `certificates.generation` by one, at any time and for all sites at their own pace:
a site of generation n signs with authority n, and says that it may be believed by authorities n-1, n and n+1. So
whoever is a step ahead or behind is still believed, and nobody signs with what others have not heard of before. The
next authority signs nothing yet, so it is made anew once it is a year old: the turn of none comes near its end.
"""

from typing import Final

import pulumi
import pulumi_tls as tls

from trihull_infra import naming
from trihull_infra.provider import Site

CA_HOURS: Final = 5 * 365 * 24
LEAF_HOURS: Final = 90 * 24
EARLY_RENEWAL_HOURS: Final = 30 * 24
CURVE: Final = "P256"


class Certificates(pulumi.ComponentResource):
    """The authorities and the leaves of a site, all PEM.

    `authorities` are by generation, `ca` and `ca_key` are those that sign now; `serving` (server) and `router` (client)
    are the leaves, with their keys; `bundle` is what others believe this site by, the signing one first.
    """

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:certificates:Certificates", name, None, opts)
        generation = self.generation = site.environment.certificates.generation
        self.authorities = {each: self._authority(name, site, each) for each in trusted(generation)}
        self.ca_key, self.ca = self.authorities[generation]
        dns_name = naming.server_name(site.environment.name, site.cloud)
        own = f"{name}-{_nth('serving', generation)}"
        self.serving_key, self.serving_request, self.serving = self._leaf(own, dns_name, "server_auth")
        router_name = f"router.{site.cloud}.{site.environment.name}.trihull.internal"
        own = f"{name}-{_nth('router', generation)}"
        self.router_key, self.router_request, self.router = self._leaf(own, router_name, "client_auth")
        self.bundle = pulumi.Output.all(*(ca.cert_pem for _, ca in self.authorities.values())).apply(bundle)
        self.register_outputs({"caCertificate": self.bundle})

    def _authority(self, name: str, site: Site, generation: int) -> tuple[tls.PrivateKey, tls.SelfSignedCert]:
        child = pulumi.ResourceOptions(parent=self)
        own = f"{name}-{_nth('ca', generation)}"
        key = tls.PrivateKey(f"{own}-key", algorithm="ECDSA", ecdsa_curve=CURVE, opts=child)
        certificate = tls.SelfSignedCert(
            own,
            private_key_pem=key.private_key_pem,
            is_ca_certificate=True,
            allowed_uses=["cert_signing", "crl_signing", "digital_signature"],
            subject=tls.SelfSignedCertSubjectArgs(
                common_name=_nth(f"{site.name(site.cloud)} authority", generation, " "), organization=naming.APPLICATION
            ),
            validity_period_hours=CA_HOURS,
            early_renewal_hours=CA_HOURS * 4 // 5 if generation > self.generation else CA_HOURS // 5,
            set_subject_key_id=True,
            opts=child,
        )
        return key, certificate

    def _leaf(
        self, name: str, dns_name: str, use: str
    ) -> tuple[tls.PrivateKey, tls.CertRequest, tls.LocallySignedCert]:
        child = pulumi.ResourceOptions(parent=self)
        key = tls.PrivateKey(f"{name}-key", algorithm="ECDSA", ecdsa_curve=CURVE, opts=child)
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            dns_names=[dns_name],
            # The name stands in dns_names; common names are for people and at most 64 characters long.
            subject=tls.CertRequestSubjectArgs(common_name=dns_name, organization=naming.APPLICATION),
            opts=child,
        )
        certificate = tls.LocallySignedCert(
            name,
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=self.ca_key.private_key_pem,
            ca_cert_pem=self.ca.cert_pem,
            allowed_uses=["digital_signature", use],
            validity_period_hours=LEAF_HOURS,
            early_renewal_hours=EARLY_RENEWAL_HOURS,
            opts=child,
        )
        return key, request, certificate


def trusted(generation: int) -> tuple[int, ...]:
    """Return the generations whose authorities a site of `generation` is believed by, the signing one first."""
    return tuple(each for each in (generation, generation + 1, generation - 1) if each >= 0)


def bundle(certificates: list[str]) -> str:
    """Return certificates, PEM, one after the other."""
    return "".join(f"{pem.strip()}\n" for pem in certificates)


def _nth(name: str, generation: int, between: str = "") -> str:
    """Return a name of a generation; that of generation 0 is the plain one, which earlier versions made."""
    return f"{name}{between}{generation}" if generation else name
