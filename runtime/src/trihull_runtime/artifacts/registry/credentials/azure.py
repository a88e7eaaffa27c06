"""Azure Container Registry: a token of Entra is exchanged for one of the registry, which is the password.

Sources: azure.github.io/acr/AAD-OAuth.html (the exchange) and azure.github.io/acr/Token-BasicAuth.html (Basic at the
token service), read 2026-11-24. A refresh token lives for three hours; it says so itself, as JSON Web Tokens do.
"""

import base64
import json
import re
from typing import Final

from trihull_runtime.artifacts.errors import DeniedError, RegistryError
from trihull_runtime.artifacts.registry.keychain import Credentials, Exchanged

HOST: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\.azurecr\.(?P<cloud>io|cn|us)")
AUDIENCES: Final = {  # of Azure Resource Manager in each cloud: its tokens are what a registry takes
    "io": "https://management.azure.com/.default",
    "cn": "https://management.chinacloudapi.cn/.default",
    "us": "https://management.usgovcloudapi.net/.default",
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
        token = DefaultAzureCredential().get_token(AUDIENCES[match["cloud"]]).token
    except AzureError as error:
        raise DeniedError(f"{host}: Azure gives no token for it: {str(error).splitlines()[0]}") from error
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
        raise DeniedError(f"{service}: does not take the Entra token: answered {answer.status_code}")
    refresh = value.get("refresh_token") if isinstance(value, dict) else None
    if not isinstance(refresh, str):
        raise RegistryError(f"{service}: the exchange of tokens gave no refresh_token")
    return refresh


def ends(token: str) -> float:
    """Return when a JSON Web Token ends, in seconds since the epoch; 0 when it does not say (RFC 7519, `exp`)."""
    try:
        payload = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return 0.0
