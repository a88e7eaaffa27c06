"""Who is let in: API keys, tokens, residency classes and rate limits. All of it is Envoy's own filters."""

import hashlib
import json
import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from importlib import resources
from typing import Final

from trihull_runtime.contract import Client, Clients
from trihull_runtime.router.envoy.values import Json, extension, percent, typed

KEY_HEADER: Final = "x-api-key"
CLIENT_HEADER: Final = "x-trihull-client"
CLASS_HEADER: Final = "x-trihull-class"
# What a client might send to be taken for another, or to reach what is ours alone.
FORGED: Final = (CLIENT_HEADER, CLASS_HEADER, "x-trihull-key", "x-trihull-site", "x-trihull-as")
API_KEYS: Final = "envoy.filters.http.lua"
RATE_LIMIT: Final = "envoy.filters.http.local_ratelimit"
_FILTERS = "envoy.extensions.filters.http"
SOMETHING: Final = ".+"
PUBLIC: Final = ("/v2", "/v2/health/live")  # the router's own answers
_UNLIMITED: Final = 1 << 31  # of the bucket for clients without a limit


def render_filters(clients: Clients | None) -> list[Json]:
    """Return the HTTP filters that establish who is asking, in their order; without clients, everybody may ask."""
    if clients is None:
        return []
    filters: list[Json] = []
    if clients.issuers:
        filters.append(_tokens(clients))
    if clients.clients:
        filters.append(extension(API_KEYS, f"{_FILTERS}.lua.v3.Lua"))  # what it does stands in each host
    filters.append(_nobody_unknown())
    if any(client.rate_per_s is not None for client in clients.clients):
        limit = extension(RATE_LIMIT, f"{_FILTERS}.local_ratelimit.v3.LocalRateLimit", stat_prefix="clients")
        filters.append(limit)
    return filters


def host_options(clients: Clients | None) -> Json:
    """Return what a virtual host carries: keys and limits stand here, so that changing them closes no connection."""
    options: Json = {}
    if clients is None or not clients.clients:
        return options
    options[API_KEYS] = typed(f"{_FILTERS}.lua.v3.LuaPerRoute", source_code={"inline_string": key_script(clients)})
    limited = [client for client in clients.clients if client.rate_per_s is not None]
    if limited:
        options[RATE_LIMIT] = _limits(limited)
    return options


def open_to_all(clients: Clients | None) -> Json:
    """Return what a route carries that nobody needs a key for: what the router says of itself."""
    if clients is None or not clients.clients:
        return {}
    return {API_KEYS: typed(f"{_FILTERS}.lua.v3.LuaPerRoute", disabled=True)}


def key_script(clients: Clients) -> str:
    """Return what Envoy runs to find whose key a request carries; it holds digests of the keys, no key."""
    keys = [(key, client) for client in clients.clients for key in client.keys]
    words = [word for key, _ in keys for word in struct.unpack(">8i", hashlib.sha256(key.encode()).digest())]
    given = {
        "DIGESTS": _lua_list([str(word) for word in words]),
        "NAMES": _lua_list([json.dumps(client.name) for _, client in keys]),
        "CLASSES": _lua_list([json.dumps(client.residency_class or "") for _, client in keys]),
        "TOKENS": "true" if clients.issuers else "false",
    }
    source = resources.files(__package__).joinpath("keys.lua").read_text(encoding="utf-8")
    return "".join(f"local {name} = {value}\n" for name, value in given.items()) + source


def _lua_list(items: Sequence[str]) -> str:
    return f"{{{', '.join(items)}}}"


def _nobody_unknown() -> Json:
    """The last word: without the name of a client nothing but the router's own answers is to be had.

    Whatever the filters before it let through by mistake ends here.
    """
    known = {"header": {"name": CLIENT_HEADER, "string_match": {"safe_regex": {"regex": SOMETHING}}}}
    public = [{"url_path": {"path": {"exact": path}}} for path in PUBLIC]
    policies = {
        "known": {"permissions": [{"any": True}], "principals": [known]},
        "public": {"permissions": public, "principals": [{"any": True}]},
    }
    rules = {"action": "ALLOW", "policies": policies}
    return extension("envoy.filters.http.rbac", f"{_FILTERS}.rbac.v3.RBAC", rules=rules)


def _tokens(clients: Clients) -> Json:
    providers: Json = {}
    for index, issuer in enumerate(clients.issuers):
        headers = [{"header_name": CLIENT_HEADER, "claim_name": issuer.client_claim}]
        if issuer.class_claim is not None:
            headers.append({"header_name": CLASS_HEADER, "claim_name": issuer.class_claim})
        providers[f"issuer-{index}"] = {
            "issuer": issuer.issuer,
            "audiences": list(issuer.audiences),
            "local_jwks": {"inline_string": issuer.jwks},
            "require_expiration": True,
            "claim_to_headers": headers,
            "clear_route_cache": True,
        }
    names = [{"provider_name": name} for name in providers]
    required: Json = names[0] if len(names) == 1 else {"requires_any": {"requirements": names}}
    public = [{"match": {"path": path}} for path in PUBLIC]
    # As keys.lua has it: a request that brings a key is let in by that alone.
    with_key = {"name": KEY_HEADER, "string_match": {"safe_regex": {"regex": SOMETHING}}}
    keyed = [{"match": {"prefix": "/", "headers": [with_key]}}] if clients.clients else []
    rules = [*public, *keyed, {"match": {"prefix": "/"}, "requires": required}]
    return extension(
        "envoy.filters.http.jwt_authn",
        f"{_FILTERS}.jwt_authn.v3.JwtAuthentication",
        providers=providers,
        rules=rules,
    )


def _limits(clients: list[Client]) -> Json:
    by_client = {"actions": [{"request_headers": {"header_name": CLIENT_HEADER, "descriptor_key": "client"}}]}
    return typed(
        f"{_FILTERS}.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="clients",
        token_bucket={"max_tokens": _UNLIMITED, "tokens_per_fill": _UNLIMITED, "fill_interval": "1s"},
        filter_enabled=percent(100),
        filter_enforced=percent(100),
        always_consume_default_token_bucket=False,
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
        rate_limits=[by_client],
        descriptors=[
            {"entries": [{"key": "client", "value": client.name}], "token_bucket": _bucket(client)}
            for client in clients
        ],
    )


def _bucket(client: Client) -> Json:
    """Whole tokens in whole seconds, which is what Envoy's descriptors take; rates are kept to a tenth."""
    assert client.rate_per_s is not None, "only asked for with a limit"
    rate = Fraction(client.rate_per_s).limit_denominator(10)
    return {
        "max_tokens": client.burst or math.ceil(rate),
        "tokens_per_fill": rate.numerator,
        "fill_interval": f"{rate.denominator}s",
    }
