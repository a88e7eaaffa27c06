"""Who is let in, and what is turned away at the door: keys, tokens, limits, TLS, and requests made to deceive."""

import base64
import contextlib
import json
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.failover.load import Load, eventually
from tests.failover.rig import Router, ask, fleet_of, raw, router_for
from tests.failover.standin import StandIn
from tests.servers import make_certificates
from trihull_runtime.contract import Client, Clients, Issuer, Routing

INFER = "/v2/models/digits/infer"
EVERYWHERE = "0.0.0.0"  # what is refused is the point  # noqa: S104
KEY, OLD_KEY, SLOW_KEY = "the-new-key-0123456789", "the-old-key-0123456789", "the-slow-key-012345678"
SECRET = rsa.generate_private_key(65537, 2048)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def token(key: rsa.RSAPrivateKey = SECRET, **claims: Any) -> str:
    """A JSON Web Token (RFC 7519), signed with RS256; None leaves a claim out."""
    given = {"iss": "https://issuer.example.org", "aud": "trihull", "sub": "batch", "exp": time.time() + 600, **claims}
    body = {claim: value for claim, value in given.items() if value is not None}
    signed = ".".join(_text(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, body))
    return f"{signed}.{_text(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def issuer() -> Issuer:
    numbers = SECRET.public_key().public_numbers()
    key = {"kty": "RSA", "alg": "RS256", "kid": "1", "n": _number(numbers.n), "e": _number(numbers.e)}
    return Issuer("https://issuer.example.org", ("trihull",), json.dumps({"keys": [key]}))


MOBILE = Client("mobile", (KEY, OLD_KEY))
CLIENTS = Clients(1, (MOBILE, Client("slow", (SLOW_KEY,), None, 2.0, 3)), (issuer(),))


@contextlib.contextmanager
def guarding(folder: Path, sites: dict[str, StandIn]) -> Iterator[Router]:
    """A router that asks for a key or a token."""
    CLIENTS.write(folder / "clients.json")
    with router_for(folder / "router", fleet_of(sites), TRIHULL_CLIENTS=str(folder / "clients.json")) as router:
        router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        yield router


@pytest.fixture(scope="module")
def module_guarded(module_standins: dict[str, StandIn], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with guarding(tmp_path_factory.mktemp("guarded"), module_standins) as router:
        yield router


@pytest.fixture
def guarded(module_guarded: Router, shared_standins: dict[str, StandIn]) -> Router:
    """The module's router that asks for a key or a token, in front of `shared_standins`: for tests that only ask."""
    assert shared_standins
    return module_guarded


def status(router: Router, path: str = INFER, **headers: str) -> int:
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(f"{router.url}{path}", "POST", b'{"id": "1"}', found)[0]


def answered(sites: dict[str, StandIn]) -> int:
    """Requests of clients that reached any site."""
    return sum(path == INFER and identity == "1" for site in sites.values() for _, path, identity in site.asked)


def test_only_a_key_or_a_token_opens_the_door(guarded: Router, shared_standins: dict[str, StandIn]) -> None:
    assert status(guarded) == 401
    assert status(guarded, x_api_key="not-a-key-at-all-012345") == 401
    assert status(guarded, x_api_key="") == 401
    assert status(guarded, x_api_key=KEY[:-1]) == 401
    assert status(guarded, x_api_key=f"{KEY},{KEY}") == 401
    assert status(guarded, x_api_key="x" * 50_000) == 401
    assert status(guarded, x_api_key="\u00e9" * 30) == 401
    assert status(guarded, authorization=f"Bearer {KEY}") == 401  # where tokens are taken, a key has its own header
    assert answered(shared_standins) == 0
    for opened in ({"x_api_key": KEY}, {"x_api_key": OLD_KEY}, {"authorization": f"Bearer {token()}"}):
        assert status(guarded, **opened) == 200
    assert answered(shared_standins) == 3


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example.org"},
        {"aud": "another"},
        {"exp": 1.0},
        {"nbf": time.time() + 3600},
        {"exp": None},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"exp": "never"},
        {"sub": ""},
    ],
    ids=[
        "another issuer",
        "another audience",
        "expired",
        "not yet",
        "no end",
        "no issuer",
        "no audience",
        "no subject",
        "an end that is no number",
        "an empty subject",
    ],
)
def test_a_token_of_others_for_others_of_yesterday_or_without_a_claim_that_is_needed_is_refused(
    guarded: Router, claims: dict[str, Any]
) -> None:
    assert status(guarded, authorization=f"Bearer {token(**claims)}") in (401, 403)


def test_a_token_that_is_not_signed_by_the_issuer_is_refused(
    guarded: Router, shared_standins: dict[str, StandIn]
) -> None:
    stranger = rsa.generate_private_key(65537, 2048)
    head, body, _ = token().split(".")
    none = _text(json.dumps({"alg": "none"}).encode())
    for forged in (token(stranger), f"{none}.{body}.", f"{head}.{body}.{_text(b'x' * 256)}", "a.b.c", ""):
        assert status(guarded, authorization=f"Bearer {forged}") == 401
    assert answered(shared_standins) == 0


def test_a_site_sees_neither_key_nor_forged_identity(guarded: Router, shared_standins: dict[str, StandIn]) -> None:
    forged = {"x-api-key": KEY, "x-trihull-client": "root", "x-trihull-class": "all", "x-trihull-key": "a/b"}
    seen = json.loads(ask(f"{guarded.url}{INFER}", "POST", b"{}", forged)[2])["headers"]
    assert seen["x-trihull-client"] == "mobile"
    assert not {"x-api-key", "x-trihull-class", "x-trihull-key"} & set(seen)
    assert KEY not in str(seen)


def make_trace() -> str:
    """A new `traceparent`, by which a request is found in the log."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def logged(router: Router, key: str, value: str) -> dict[str, Any]:
    """Wait for the line of the access log in which `key` has this value, and return it."""

    def lines() -> list[dict[str, Any]]:
        text = router.envoy.layout.access_log.read_text()
        entries = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [entry for entry in entries if entry[key] == value]

    eventually(lambda: len(lines()) == 1, f"the request of {key} {value} is logged")
    return lines()[0]


def test_keys_are_in_no_log_and_in_no_file_that_others_may_read(guarded: Router) -> None:
    expected = {KEY: 200, OLD_KEY: 200, "wrong-key-wrong-key-01234": 401}
    traces = [make_trace() for _ in expected]
    for (key, answer), trace in zip(expected.items(), traces, strict=True):
        assert status(guarded, x_api_key=key, traceparent=trace) == answer
    assert [logged(guarded, "traceparent", trace)["status"] for trace in traces] == [200, 200, 401]
    state = guarded.settings.state
    for path in [guarded.output, *state.rglob("*")]:
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if KEY in text or OLD_KEY in text:
            assert path.parent != state / "logs", path
            assert path.stat().st_mode & 0o077 == 0, path
        assert "wrong-key-wrong-key" not in text, path
    assert KEY not in guarded.admin("GET", "/v1/status")[1].__str__()
    assert KEY not in json.dumps(guarded.admin("GET", "/v1/fleet")[1])


def test_what_the_router_says_of_itself_needs_no_key(guarded: Router) -> None:
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/routerz"):
        assert ask(f"{guarded.url}{path}")[0] == 200


def test_keys_change_without_a_lost_request_and_a_damaged_file_changes_nothing(
    standins: dict[str, StandIn], tmp_path: Path
) -> None:
    clients = tmp_path / "clients.json"
    with guarding(tmp_path, standins) as router:
        with Load(router.url, headers={"x-api-key": KEY}) as load:
            load.wait_site("aws")
            Clients(1, (Client("mobile", (KEY,)),), (issuer(),)).write(clients)
            router.wait_event("clients_applied")
            eventually(lambda: status(router, x_api_key=OLD_KEY) == 401, "the old key is out")
            clients.write_text('{"version": 1, "clients": []}')
            router.wait_event("config_refused", source="clients")
            load.wait_more(40)
        assert load.lost == []
        assert status(router, x_api_key=KEY) == 200
        assert router.stop() == 0
        router.start()  # still with the damaged file: the last good clients count
        router.wait_health(aws="healthy")
        assert status(router, x_api_key=KEY) == 200
        assert status(router) == 401


def test_a_router_that_shall_ask_for_keys_never_begins_without(standins: dict[str, StandIn], tmp_path: Path) -> None:
    with router_for(tmp_path / "router", None, TRIHULL_CLIENTS=str(tmp_path / "none.json")) as router:
        fleet_of(standins).write(router.fleet_path)
        router.start(wait=False)
        assert router.wait_end() == 65
        assert "none.json" in router.text()


def test_a_clients_rate_is_limited_and_others_are_not(guarded: Router) -> None:
    found = [ask(f"{guarded.url}{INFER}", "POST", b"{}", {"x-api-key": SLOW_KEY}) for _ in range(12)]
    statuses = [each[0] for each in found]
    assert statuses[:3] == [200, 200, 200]
    assert statuses.count(429) >= 6
    refused = next(each for each in found if each[0] == 429)
    assert refused[1]["retry-after"] == "1"
    assert refused[1]["x-ratelimit-remaining"] == "0"
    assert {status(guarded, x_api_key=KEY) for _ in range(12)} == {200}


def test_too_much_at_once_is_shed_with_503_and_retry_after(standins: dict[str, StandIn], tmp_path: Path) -> None:
    fleet = replace(fleet_of(standins), routing=Routing(max_in_flight=4))
    with router_for(tmp_path / "router", fleet) as router:
        router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        for site in standins.values():
            site.delay_s = 0.5
        with Load(router.url, rate=60) as load:
            load.wait_more(90)
    shed = [outcome for outcome in load.outcomes if outcome.status == 503]
    assert shed
    assert {outcome.status for outcome in load.outcomes} == {200, 503}
    assert {outcome.attempts for outcome in shed} <= {0, 1}


def test_a_body_above_the_limit_is_413_and_one_below_it_passes(router: Router, standins: dict[str, StandIn]) -> None:
    announced = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {65 << 20}\r\n\r\n".encode()
    assert raw(router, announced).split(b" ")[1] == b"413"
    fine = json.dumps({"id": "fine", "data": "x" * (40 << 20)}).encode()
    assert ask(f"{router.url}{INFER}", "POST", fine)[0] == 200
    assert [identity for _, path, identity in standins["aws"].asked if path == INFER] == ["fine"]


def test_the_log_is_json_with_client_and_trace(guarded: Router) -> None:
    trace = make_trace()
    sent = {"x-api-key": KEY, "traceparent": trace}
    assert ask(f"{guarded.url}{INFER}", "POST", b"{}", sent)[0] == 200
    seen = json.loads(ask(f"{guarded.url}{INFER}", "POST", b"{}", {"x-api-key": KEY})[2])["headers"]
    first = logged(guarded, "traceparent", trace)
    assert (first["client"], first["site"], first["status"]) == ("mobile", "aws", 200)
    # one that came without a trace has an id of its own, which the site is told too
    assert logged(guarded, "request_id", seen["x-request-id"])["traceparent"] is None


def test_tls_at_the_door_and_a_certificate_renewed_under_load(standins: dict[str, StandIn], tmp_path: Path) -> None:
    first, second = (make_certificates(tmp_path / name, "router.example.org") for name in ("first", "second"))
    with router_for(tmp_path / "router", fleet_of(standins), TRIHULL_INGRESS_TLS=str(first.server)) as router:
        port = int(router.url.rsplit(":", 1)[1])

        def exchange(authority: Path) -> tuple[str, str | None]:
            context = ssl.create_default_context(cafile=authority)
            context.set_alpn_protocols(["h2", "http/1.1"])
            with (
                socket.create_connection(("127.0.0.1", port), 5) as plain,
                context.wrap_socket(plain, server_hostname="router.example.org") as secure,
            ):
                return secure.version() or "", secure.selected_alpn_protocol()

        def trusted(authority: Path) -> bool:
            try:
                return bool(exchange(authority))
            except ssl.SSLError:
                return False

        assert exchange(first.ca) == ("TLSv1.3", "h2")
        for name in ("tls.key", "tls.crt"):
            fresh = first.server / f".{name}"
            fresh.write_bytes((second.server / name).read_bytes())
            fresh.rename(first.server / name)
        eventually(lambda: trusted(second.ca), "the new certificate is shown")
        assert not trusted(first.ca)
        assert raw(router, b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n") == b""  # nothing is said without TLS
