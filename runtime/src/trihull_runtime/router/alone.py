"""A router without an environment: a fleet made of addresses, for any servers of the Open Inference Protocol."""

import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from trihull_runtime.contract import ContractError, Endpoint, Fleet, FleetSite, Routing
from trihull_runtime.errors import UsageError

FILE = "sites.json"  # in the state folder: the fleet that was made


def write_fleet(sites: Sequence[str], ca: Path | None, state: Path) -> Path:
    """Write the fleet of these sites into the router's state folder; returns its path.

    Every model is routed and every release accepted, since such servers name none.

    Args:
        sites: `NAME=URL` each, first choice first.
        ca: certificates that https sites must come from; None trusts whom the system trusts.
        state: the router's state folder; it is made if it is not there.

    Raises:
        UsageError: a site is not of that form, is named twice, or the certificates cannot be read.
    """
    authority = "system" if ca is None else _read(ca)
    found: list[FleetSite] = []
    for priority, text in enumerate(sites):
        name, equals, url = text.partition("=")
        if not equals:
            raise UsageError(f"--site {text!r}: expected NAME=URL, such as aws=https://models.example.org")
        try:
            host = urllib.parse.urlsplit(url).hostname or ""
            endpoint = Endpoint(url.rstrip("/"), host)
            value = {
                "name": name, "cloud": name, "region": "", "residency": "", "priority": priority, "weight": 1,
                "endpoint": {"url": endpoint.url, "server_name": host},
                "ca_certificate": authority if endpoint.tls else None,
            }  # fmt: skip
            document = {"version": 1, "environment": "alone", "models": {}, "sites": [value]}
            found += Fleet.from_value(document, f"--site {text!r}").sites
        except ContractError as error:
            raise UsageError(f"--site {text!r}: {error.path or 'it'} {error.problem}") from error
        except ValueError as error:
            raise UsageError(f"--site {text!r}: {error}") from error
    try:
        fleet = Fleet(Fleet.CURRENT, "alone", {}, tuple(found), Routing(any_model=True))
    except ContractError as error:
        raise UsageError(f"--site: {error.problem}") from error
    path = state / FILE
    fleet.write(path)
    return path


def _read(ca: Path) -> str:
    try:
        text = ca.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--ca {ca}: cannot be read: {error}") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise UsageError(f"--ca {ca}: holds no certificate (PEM)")
    return text
