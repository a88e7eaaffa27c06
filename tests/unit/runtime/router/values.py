"""One fleet that makes the router write everything that it can write, as a list of single values for the golden file.

`python -m tests.unit.runtime.router.values` writes the golden file; each new value wants its reason in `reasons`.
"""

import json
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.unit.runtime.router.fleets import ADDRESSES, CA, DIGEST, OTHER, fleet, site
from trihull_runtime.contract import (
    Canary,
    Client,
    Clients,
    Endpoint,
    Fleet,
    FleetSite,
    Issuer,
    Policy,
    ResidencyClass,
    Routing,
    Shadow,
    SiteState,
)
from trihull_runtime.router.envoy import AccessLog, Ingress, Layout, render
from trihull_runtime.router.planning import make_plan
from trihull_runtime.router.timings import WAN

GOLDEN = Path(__file__).parents[3] / "golden" / "router" / "envoy.txt"
STATE = Path("/state")
AUTHORITIES = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
LAYOUT = Layout(STATE / "envoy", STATE / "logs", STATE / "envoy.sock", STATE / "tls", STATE / "ingress-tls")
# What stands instead of a long name, so that a line can be read.
SHORT = {
    "typed_extension_protocol_options.envoy.extensions.upstreams.http.v3.HttpProtocolOptions": "protocol",
    "filter_chains[0].filters[0].typed_config": "http",
    "type.googleapis.com/envoy.": "envoy.",
}


def _site(name: str, priority: int, host: str, server_name: str, ca: str, **more: object) -> FleetSite:
    values: dict[str, object] = {"endpoint": Endpoint(f"https://{host}:8443", server_name), "ca_certificate": ca}
    return site(name, priority, url=f"https://{host}:8443", **{**values, **more})  # type: ignore[arg-type]  # by name


def document() -> Fleet:
    """Sites by name, by address and with the system's authorities; a class, a canary, a shadow, hedging."""
    sites = (
        _site("aws", 0, "192.0.2.1", "aws.example.org", CA, grpc_endpoint=Endpoint("https://192.0.2.1:81", "aws.org")),
        _site("gcp", 1, "192.0.2.2", "192.0.2.2", CA, grpc_endpoint=Endpoint("https://192.0.2.2:81", "192.0.2.2")),
        _site("azure", 2, "one.example.org", "azure.example.org", "system"),
        _site("edge", 3, "192.0.2.2", "edge.example.org", CA, state=SiteState.DRAINING),
    )
    routing = Routing(
        canaries={"digits": Canary(("gcp",), 20)},
        shadows={"digits": Shadow("azure", 5)},
        repeatable=("/explain",),
        hedge_after_s=0.3,
        max_in_flight=500,
        classes={"eu": ResidencyClass(("eu",), ("eu.example.org",)), "us": ResidencyClass(("us",))},
    )
    return replace(fleet(*sites, models={"digits": (DIGEST, OTHER)}), routing=routing)


CLIENTS = Clients(
    1,
    (Client("mobile", ("k" * 20,), "eu", 7.5, 20), Client("web", ("w" * 20,))),
    (
        Issuer("https://issuer.example.org", ("trihull",), '{"keys": []}', "sub", "residency"),
        Issuer("https://other.example.org", ("trihull", "models"), '{"keys": []}', "client"),
    ),
)


def resources() -> dict[str, Any]:
    """Return everything that the router writes, by a name for people."""
    plan = make_plan(document(), Policy.PRIORITY, ADDRESSES)
    configuration = render(plan, LAYOUT, Ingress("127.0.0.1", 8080, AccessLog.TROUBLE, CLIENTS), WAN)
    kinds = {LAYOUT.clusters: "cluster", LAYOUT.listeners: "listener"}
    kinds |= dict.fromkeys((LAYOUT.routes, LAYOUT.probe_routes), "routes")
    result = {}
    for path, response in configuration.files.items():
        kind = kinds.get(path, "endpoints" if LAYOUT.is_endpoints(path) else "secret")
        for item in response["resources"]:
            result[f"{kind} {item.get('name', item.get('cluster_name'))}"] = item
    return {**result, "bootstrap": configuration.bootstrap}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give each single value of a document with its path; what is empty counts as a value."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def without_index(path: str) -> str:
    """Return the path of a value whatever its place in a list is."""
    return re.sub(r"\[\d+\]", "[]", path)


def lines() -> list[str]:
    """Return the golden file's lines: sections of `path = value`.

    Routes are many and alike: there the places in lists are left out, and a value is counted.
    """
    result: list[str] = []
    for name, item in resources().items():
        values = [(path, json.dumps(_shown(value))) for path, value in leaves(item)]
        if name.startswith("routes"):
            counts = Counter((without_index(path), value) for path, value in values)
            values = [(path, value if count == 1 else f"{value} x {count}") for (path, value), count in counts.items()]
        result += ["", f"# {name}", *(_shortened(f"{path} = {value}") for path, value in values)]
    return result[1:]


def _shown(value: Any) -> Any:
    """Leave out what other tests are about: the script of keys (`test_keys`) and the bootstrap's digest."""
    if isinstance(value, str) and "local DIGESTS" in value:
        return "<keys.lua>"
    if value == str(AUTHORITIES):
        return "<the system's authorities>"
    return "<digest>" if isinstance(value, str) and re.fullmatch(r"(?!0{64})[0-9a-f]{64}", value) else value


def _shortened(text: str) -> str:
    for long, short in SHORT.items():
        text = text.replace(long, short)
    return text


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text("\n".join(lines()) + "\n")
