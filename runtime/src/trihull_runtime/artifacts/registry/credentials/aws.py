"""Amazon ECR: the identity of boto3's default chain becomes a password for twelve hours.

Source: Amazon ECR API reference, GetAuthorizationToken (the token is Base64 of `AWS:password`), read 2026-11-24.
"""

import base64
import re
from typing import Final

from trihull_runtime.artifacts.errors import DeniedError
from trihull_runtime.artifacts.registry.keychain import Credentials, Exchanged

HOST: Final = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)"
)


def knows(host: str) -> bool:
    """Return whether a host is this cloud's, to the letter: an identity goes nowhere else."""
    return HOST.fullmatch(host) is not None


def exchange(host: str) -> Exchanged:
    """Return credentials for a registry.

    Raises:
        DeniedError: boto3 is not installed, there is no identity, or it may not push.
    """
    match = HOST.fullmatch(host)
    assert match is not None, host
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ModuleNotFoundError as error:
        raise DeniedError(f"{host}: is an ECR registry, and boto3 is missing: install trihull-runtime[aws]") from error
    try:
        client = boto3.client("ecr", region_name=match["region"])
        answer = client.get_authorization_token(registryIds=[match["account"]])["authorizationData"][0]
        username, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
        until = answer["expiresAt"].timestamp()
    except (BotoCoreError, ClientError) as error:
        raise DeniedError(f"{host}: AWS gives no token for it: {error}") from error
    return Exchanged(Credentials(username, password, "ECR GetAuthorizationToken"), until)
