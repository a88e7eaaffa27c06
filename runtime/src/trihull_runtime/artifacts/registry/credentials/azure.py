"""Azure Container Registry: a token of Entra is exchanged for one of the registry, which is the password.

Sources: azure.github.io/acr/AAD-OAuth.html (the exchange), azure.github.io/acr/Token-BasicAuth.html (Basic at the token
service), learn.microsoft.com "Configure registry acceptance of Microsoft Entra authentication scopes" (a registry may
refuse tokens for Azure Resource Manager, and always takes those for Container Registry), fluxcd/pkg auth/azure (their
scope is the same in every cloud). Read 2026-11-24. A refresh token lives for three hours; it says so itself, as JSON
Web Tokens do.
"""

import base64
import json
import math
import re
from typing import Final

from trihull_runtime.artifacts.errors import DeniedError, RegistryError
from trihull_runtime.artifacts.registry.keychain import Credentials, Exchanged
from trihull_runtime.artifacts.registry.retrying import TEMPORARY

HOST: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\.azurecr\.(?P<cloud>io|cn|us)")
SCOPE: Final = "https://containerregistry.azure.net/.default"
AUTHORITIES: Final = {  # who gives tokens in each cloud: azure.identity.AzureAuthorityHosts
    "cn": "login.chinacloudapi.cn",
    "us": "login.microsoftonline.us",
}
USER: Final = "00000000-0000-0000-0000-000000000000"  # says that the password is a token
TIMEOUT_S: Final = 30


def knows(host: str) -> bool:
    """Return whether a host is this cloud's, to the letter: an identity goes nowhere else."""
    return HOST.fullmatch(host) is not None


def exchange(host: str) -> Exchanged:
    """Return credentials for a registry.

    Raises:
        DeniedError: azure-identity is not installed, there is no identity, or the registry does not take it.
        RegistryError: the registry cannot be asked.
    """
    match = HOST.fullmatch(host)
    assert match is not None, host
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import DefaultAzureCredential
    except ModuleNotFoundError as error:
        advice = "azure-identity is missing: install trihull-runtime[azure]"
        raise DeniedError(f"{host}: is an Azure registry, and {advice}") from error
    try:
        # For the public cloud AZURE_AUTHORITY_HOST decides, as azure-identity does without being told.
        authority = {"authority": AUTHORITIES[match["cloud"]]} if match["cloud"] in AUTHORITIES else {}
        with DefaultAzureCredential(**authority) as identity:
            token = identity.get_token(SCOPE).token
    except AzureError as error:
        advice = "run `az login`, or give it an identity by AZURE_CLIENT_ID and what goes with it"
        raise DeniedError(f"{host}: Azure gives no token for it: {str(error).splitlines()[0]} ({advice})") from error
    refresh = exchanged(f"https://{host}/oauth2/exchange", host, token)
    return Exchanged(Credentials(USER, refresh, "Entra token exchanged at the registry"), ends(refresh))


def exchanged(address: str, service: str, token: str) -> str:
    """Return the registry's refresh token for a token of Entra.

    Raises:
        DeniedError: the registry does not take it. RegistryError: it cannot be asked, or answers something else.
    """
    import requests

    form = {"grant_type": "access_token", "service": service, "access_token": token}
    try:
        answer = requests.post(address, data=form, timeout=TIMEOUT_S, allow_redirects=False)
        value = answer.json() if answer.status_code == 200 else {}
    except (requests.RequestException, ValueError) as error:
        raise RegistryError(f"{service}: the exchange of tokens failed: {type(error).__name__}") from error
    if answer.status_code != 200:
        said = f"{service}: does not take the Entra token: answered {answer.status_code}"
        if answer.status_code in TEMPORARY:
            raise RegistryError(f"{said}; run it again later")
        raise DeniedError(f"{said}; the identity needs the role AcrPush (AcrPull to read) there")
    refresh = value.get("refresh_token") if isinstance(value, dict) else None
    if not isinstance(refresh, str):
        raise RegistryError(f"{service}: the exchange of tokens gave no refresh_token")
    return refresh


def ends(token: str) -> float:
    """Return when a JSON Web Token ends, in seconds since the epoch; 0 when it does not say (RFC 7519, `exp`)."""
    try:
        payload = token.split(".")[1]
        until = float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (IndexError, ValueError, KeyError, TypeError, OverflowError):
        return 0.0
    return until if math.isfinite(until) else 0.0  # NaN is never in the past: such a token would be kept for ever
