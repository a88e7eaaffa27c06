"""Amazon ECR: the identity of boto3's default chain becomes a password for twelve hours.

Sources: Amazon ECR API reference, GetAuthorizationToken (the token is Base64 of `AWS:password` and good for every
registry that the identity may use; `registryIds` is deprecated); the hosts are those of the public partitions that
amazon-ecr-credential-helper knows (`ecrPattern` in its ecr-login/api). Read 2026-11-24.
"""

import base64
import re
from typing import Final

from trihull_runtime.artifacts.errors import DeniedError
from trihull_runtime.artifacts.registry.keychain import Credentials, Exchanged

HOST: Final = re.compile(
    r"[0-9]{12}\.dkr[.-]ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)"
    r"\.(?:amazonaws\.(?:com(?:\.cn)?|eu)|on\.(?:aws|amazonwebservices\.com\.cn))"
)
TIMEOUT_S: Final = 30


def knows(host: str) -> bool:
    """Return whether a host is this cloud's, to the letter: an identity goes nowhere else."""
    return HOST.fullmatch(host) is not None


def exchange(host: str) -> Exchanged:
    """Return credentials for a registry.

    Raises:
        DeniedError: boto3 is not installed, there is no identity, or it may not ask for a token.
    """
    match = HOST.fullmatch(host)
    assert match is not None, host
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ModuleNotFoundError as error:
        raise DeniedError(f"{host}: is an ECR registry, and boto3 is missing: install trihull-runtime[aws]") from error
    try:
        fips = True if match["fips"] else None  # None: as the user's own configuration has it
        settings = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, use_fips_endpoint=fips)
        # A session of its own: boto3's default one may not be shared by threads while clients are made.
        client = boto3.session.Session().client("ecr", region_name=match["region"], config=settings)
        answer = client.get_authorization_token()["authorizationData"][0]
        username, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
        until = answer["expiresAt"].timestamp()
    except (BotoCoreError, ClientError) as error:
        raise DeniedError(f"{host}: AWS gives no token for it: {error}") from error
    return Exchanged(Credentials(username, password, "ECR GetAuthorizationToken"), until)
