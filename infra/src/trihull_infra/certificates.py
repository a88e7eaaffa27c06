"""Each site's own certificate authority, the certificate that its serving shows, and the one its router shows.

Made by pulumi_tls, so the keys live in the stack's state as secrets. Serving trusts every site's authority (the fleet
carries the certificates, which are public); a router's certificate comes from its own site's. Leaves are renewed at the
first `up` in the last third of their life.
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
    """The authority `ca`, and the leaves `serving` (server) and `router` (client) with their keys; all PEM."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:certificates:Certificates", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.ca_key = tls.PrivateKey(f"{name}-ca-key", algorithm="ECDSA", ecdsa_curve=CURVE, opts=child)
        self.ca = tls.SelfSignedCert(
            f"{name}-ca",
            private_key_pem=self.ca_key.private_key_pem,
            is_ca_certificate=True,
            allowed_uses=["cert_signing", "crl_signing", "digital_signature"],
            subject=tls.SelfSignedCertSubjectArgs(
                common_name=f"{site.name(site.cloud)} authority", organization=naming.APPLICATION
            ),
            validity_period_hours=CA_HOURS,
            early_renewal_hours=CA_HOURS // 5,
            set_subject_key_id=True,
            opts=child,
        )
        dns_name = naming.server_name(site.environment.name, site.cloud)
        self.serving_key, self.serving = self._leaf(f"{name}-serving", dns_name, "server_auth")
        router_name = f"router.{site.cloud}.{site.environment.name}.trihull.internal"
        self.router_key, self.router = self._leaf(f"{name}-router", router_name, "client_auth")
        self.register_outputs({"caCertificate": self.ca.cert_pem})

    def _leaf(self, name: str, dns_name: str, use: str) -> tuple[tls.PrivateKey, tls.LocallySignedCert]:
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
        return key, certificate
