"""Reaching a cloud without credentials: does its API server answer, and is this machine's clock right?"""

import email.utils
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final

import requests

from trihull_infra.doctor import findings
from trihull_infra.doctor.findings import Finding
from trihull_infra.doctor.seam import CONNECT_S, ApiServer

# Bounds of ours: tokens and signatures are good for minutes, and clouds differ in how many they forgive.
SKEW_WARNING_S: Final = 30
SKEW_FAILED_S: Final = 240


def clock(url: str, now: Callable[[], float] = time.time) -> Sequence[Finding]:
    """Compare this machine's clock with the date that an API puts on any answer, also on a refusal."""
    host = url.split("://")[-1].split("/")[0]
    try:
        answer = requests.head(url, timeout=(CONNECT_S, CONNECT_S), allow_redirects=False)
        there = email.utils.parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except requests.RequestException as error:
        do = "check network, proxy (HTTPS_PROXY) and firewall"
        return [findings.failed(f"{host} is not reached: {findings.plain(error)}", do)]
    except (TypeError, ValueError):
        return [findings.not_asked(f"{host} does not tell the time")]
    skew = round(now() - there)
    seen = f"{abs(skew)} s {'ahead of' if skew > 0 else 'behind'} {host}"
    do = "set the clock (NTP): clouds refuse signatures and tokens of another time"
    if abs(skew) >= SKEW_FAILED_S:
        return [findings.failed(seen, do)]
    return [findings.warning(seen, do)] if abs(skew) >= SKEW_WARNING_S else [findings.ok(f"within {SKEW_WARNING_S} s")]


def api_server(server: ApiServer | None, private: bool) -> Sequence[Finding]:
    """Shake hands with a cluster's API server; nothing is sent.

    Args:
        server: where it answers; None when there is none yet.
        private: whether the environment gives it private access only.
    """
    if server is None:
        return [findings.not_asked("there is no cluster yet")]
    where = f"{server.host}:{server.port}"
    context = ssl.create_default_context(cadata=server.ca_pem)
    if server.ca_pem is None:  # who signed it is not known here; that it speaks TLS is what is asked
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((server.host, server.port), timeout=CONNECT_S) as plain,
            context.wrap_socket(plain, server_hostname=server.host) as tls,
        ):
            version = tls.version()
    except ssl.SSLCertVerificationError as error:
        do = "something else answers at this address (a proxy?): go round it (NO_PROXY)"
        return [findings.failed(f"{where} shows another certificate: {findings.plain(error)}", do)]
    except OSError as error:
        do = (
            "deploy from inside the network (docs/ci.md): api_server.authorised_networks is []"
            if private
            else "add this machine's address to api_server.authorised_networks, or deploy from inside the network"
        )
        return [findings.failed(f"{where} is not reached from here: {findings.plain(error)}", do)]
    return [findings.ok(f"{where} answers, {version}{'' if server.ca_pem else ', certificate not verified'}")]
