"""The provider for `tls`: all it makes lives in the stack's state, as with the real one; the daemon keeps none."""

import datetime
from collections.abc import Callable, Mapping
from typing import Any, Final

from trihull_infra.emulators.plugins import certificates
from trihull_infra.emulators.plugins.diff import Change, Difference, Kind, compare
from trihull_infra.emulators.plugins.provider import Failure, Naming, RefusedError, Urn
from trihull_infra.emulators.plugins.values import UNKNOWN, Secret
from trihull_infra.emulators.recorder.checks import check
from trihull_infra.emulators.recorder.facts import facts

KEY: Final = "tls:index/privateKey:PrivateKey"
REQUEST: Final = "tls:index/certRequest:CertRequest"
SELF_SIGNED: Final = "tls:index/selfSignedCert:SelfSignedCert"
LOCALLY_SIGNED: Final = "tls:index/locallySignedCert:LocallySignedCert"
TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
# What can change without a new key or certificate (terraform-provider-tls, resource_*.go: the rest RequiresReplace).
IN_PLACE: Final = ("earlyRenewalHours",)
DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    KEY: {"ecdsaCurve": "P224", "rsaBits": 2048},
    REQUEST: {},
    SELF_SIGNED: {
        "earlyRenewalHours": 0,
        "isCaCertificate": False,
        "setAuthorityKeyId": False,
        "setSubjectKeyId": False,
        "maxPathLength": -1,
    },
    LOCALLY_SIGNED: {"earlyRenewalHours": 0, "isCaCertificate": False, "setSubjectKeyId": False, "maxPathLength": -1},
}


class TlsProvider:
    """One provider instance of `tls`; `now` gives the time."""

    package = "tls"

    def __init__(self, now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)) -> None:
        """Make certificates valid from `now()`."""
        self._now = now

    def check_config(self, urn: Urn, inputs: dict[str, Any]) -> list[Failure]:
        """Accept: the provider's only option is a proxy for reading remote certificates."""
        return []

    def configure(self, arguments: dict[str, Any], urn: str) -> None:
        """Nothing to take."""

    def check(
        self, urn: Urn, old: dict[str, Any], new: dict[str, Any], naming: Naming
    ) -> tuple[dict[str, Any], list[Failure]]:
        """Check the arguments, and that exactly one private key is given where one is needed."""
        failures = check(facts(urn.type), new)
        if urn.type in (REQUEST, SELF_SIGNED, LOCALLY_SIGNED):
            name = "caPrivateKeyPem" if urn.type == LOCALLY_SIGNED else "privateKeyPem"
            if (new.get(name) is None) == (new.get(f"{name}Wo") is None):
                failures.append(
                    Failure(name, f"exactly one of {name} and {name}Wo must be set", missing=new.get(name) is None)
                )
        for use in new.get("allowedUses") or []:
            if use is not UNKNOWN and use not in certificates.USAGES and use not in certificates.EXTENDED:
                failures.append(Failure("allowedUses", f"{use!r} is not a key usage"))
        return new, failures

    def diff(
        self, urn: Urn, resource_id: str, old: dict[str, Any], state: dict[str, Any], new: dict[str, Any]
    ) -> Difference:
        """Compare; nearly everything means a new key or certificate, and so does being due for renewal."""
        replacing = [name for name in facts(urn.type).inputs if name not in IN_PLACE]
        defaults = DEFAULTS[urn.type]
        changes = compare({**defaults, **_given(old)}, {**defaults, **_given(new)}, replacing)
        if "validityEndTime" in state and self._ready(state["validityEndTime"], new):
            changes = (*changes, Change("readyForRenewal", Kind.UPDATE, replace=True))
        return Difference(changes)

    def create(self, urn: Urn, inputs: dict[str, Any], preview: bool, timeout_s: float) -> tuple[str, dict[str, Any]]:
        """Make a key, a request or a certificate."""
        merged = {**DEFAULTS[urn.type], **_given(inputs)}
        if preview:
            outputs = {
                name: merged.get(name, UNKNOWN)
                for name, prop in facts(urn.type).outputs.items()
                if prop.required or name in merged
            }
            return "", outputs
        resource_id, computed = MAKERS[urn.type](self, merged)
        hidden = facts(urn.type).secrets
        shown = {name: value for name, value in merged.items() if not name.endswith("Wo")}  # write-only: never kept
        return resource_id, {
            **shown,
            **{key: Secret(value) if key in hidden else value for key, value in computed.items()},
        }

    def read(
        self, urn: Urn, resource_id: str, inputs: dict[str, Any], state: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return the state as it is, with what time has changed in it."""
        if not state:
            raise RefusedError(f"{urn.type} cannot be imported: its private parts exist in no cloud")
        if "validityEndTime" in state:
            state = {**state, "readyForRenewal": self._ready(state["validityEndTime"], inputs)}
        hidden = facts(urn.type).secrets
        return resource_id, inputs, {key: Secret(value) if key in hidden else value for key, value in state.items()}

    def update(
        self,
        urn: Urn,
        resource_id: str,
        old: dict[str, Any],
        state: dict[str, Any],
        new: dict[str, Any],
        preview: bool,
        timeout_s: float,
    ) -> dict[str, Any]:
        """Take the arguments that change nothing in the certificate."""
        hours = new.get("earlyRenewalHours", DEFAULTS[urn.type].get("earlyRenewalHours"))
        changed = {**state, "earlyRenewalHours": hours}
        if "validityEndTime" in state:
            changed["readyForRenewal"] = self._ready(state["validityEndTime"], new)
        hidden = facts(urn.type).secrets
        return {key: Secret(value) if key in hidden else value for key, value in changed.items()}

    def delete(
        self, urn: Urn, resource_id: str, inputs: dict[str, Any], state: dict[str, Any], timeout_s: float
    ) -> None:
        """Nothing exists outside the state."""

    def invoke(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answer the one function that needs no network."""
        if function == "tls:index/getPublicKey:getPublicKey":
            key = certificates.load_key(str(arguments.get("privateKeyPem") or ""))
            public = {name: value for name, value in certificates.key_outputs(key).items() if name.startswith("public")}
            return {
                **arguments,
                **public,
                "algorithm": certificates.algorithm_of(key),
                "id": certificates.key_id(key.public_key()),
            }
        raise RefusedError(f"{function} is not emulated")

    def _ready(self, end: str, inputs: Mapping[str, Any]) -> bool:
        early = datetime.timedelta(hours=int(inputs.get("earlyRenewalHours") or 0))
        return self._now() >= datetime.datetime.strptime(end, TIME).replace(tzinfo=datetime.UTC) - early

    def make_key(self, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make a private key."""
        key = certificates.private_key(str(inputs["algorithm"]), str(inputs["ecdsaCurve"]), int(inputs["rsaBits"]))
        return certificates.key_id(key.public_key()), certificates.key_outputs(key)

    def make_request(self, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make a certificate request."""
        key = certificates.load_key(_key_pem(inputs, "privateKeyPem"))
        computed = {"certRequestPem": certificates.request(inputs, key), "keyAlgorithm": certificates.algorithm_of(key)}
        return certificates.key_id(key.public_key()), computed

    def make_self_signed(self, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make a self-signed certificate."""
        key = certificates.load_key(_key_pem(inputs, "privateKeyPem"))
        issued = certificates.self_signed(inputs, key, self._now())
        return issued.serial, {**self._shown(issued, inputs), "keyAlgorithm": certificates.algorithm_of(key)}

    def make_locally_signed(self, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make a certificate signed by a CA."""
        key = certificates.load_key(_key_pem(inputs, "caPrivateKeyPem"))
        issued = certificates.locally_signed(inputs, inputs["certRequestPem"], inputs["caCertPem"], key, self._now())
        return issued.serial, {**self._shown(issued, inputs), "caKeyAlgorithm": certificates.algorithm_of(key)}

    def _shown(self, issued: certificates.Issued, inputs: Mapping[str, Any]) -> dict[str, Any]:
        end = issued.end.strftime(TIME)
        return {
            "certPem": issued.pem,
            "validityStartTime": issued.start.strftime(TIME),
            "validityEndTime": end,
            "readyForRenewal": self._ready(end, inputs),
        }


MAKERS: Final = {
    KEY: TlsProvider.make_key,
    REQUEST: TlsProvider.make_request,
    SELF_SIGNED: TlsProvider.make_self_signed,
    LOCALLY_SIGNED: TlsProvider.make_locally_signed,
}


def _given(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if value is not None}


def _key_pem(inputs: Mapping[str, Any], name: str) -> str:
    return str(inputs.get(name) or inputs.get(f"{name}Wo"))
