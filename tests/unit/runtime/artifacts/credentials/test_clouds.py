"""Each cloud's exchange: ECR by moto, the others against a token service of the test."""

import base64
import json
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import moto
import pytest
from azure.identity import AzureAuthorityHosts, CredentialUnavailableError
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session

from trihull_runtime.artifacts.errors import DeniedError, RegistryError
from trihull_runtime.artifacts.registry import credentials
from trihull_runtime.artifacts.registry.credentials import Finder, aws, azure, gcp
from trihull_runtime.artifacts.registry.keychain import Credentials, Exchanged

ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


class TokenService:
    """Answers every POST with `answer`, and keeps the forms it was sent."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.status, self.answer = 200, b"{}"
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's own name for it
                pass

            def do_POST(self) -> None:  # the base calls it so
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                service.forms.append(urllib.parse.parse_qs(text))
                self.send_response(service.status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(service.answer)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def service() -> Iterator[TokenService]:
    made = TokenService()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("host", "cloud"),
    [
        (ECR, aws),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", aws),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", aws),
        ("123456789012.dkr-ecr.eu-central-1.on.aws", aws),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", aws),
        ("public.ecr.aws", None),
        ("europe-west4-docker.pkg.dev", gcp),
        ("gcr.io", gcp),
        ("eu.gcr.io", gcp),
        ("trihulls.azurecr.io", azure),
        ("trihulls.azurecr.cn", azure),
        (f"{ECR}.evil.example", None),
        (f"{ECR}:5000", None),
        ("evil-docker.pkg.dev.example", None),
        ("azurecr.io.example", None),
        ("x.y.azurecr.io", None),
        ("localhost:5000", None),
    ],
)
def test_an_identity_goes_only_to_its_own_clouds_registries(host: str, cloud: object) -> None:
    assert [known for known in credentials.CLOUDS if known.knows(host)] == ([cloud] if cloud else [])


def test_ecr_gives_a_password_for_the_account_and_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        found = aws.exchange(ECR)
    assert found.credentials.username == "AWS"
    assert found.credentials.password
    assert found.until > 0


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        (ECR, "ecr.eu-central-1.amazonaws.com/"),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "ecr-fips.us-east-1.amazonaws.com/"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr.cn-north-1.amazonaws.com.cn/"),
    ],
)
def test_ecr_is_asked_in_the_registrys_own_region_and_kind(
    monkeypatch: pytest.MonkeyPatch, host: str, asked: str
) -> None:
    addresses: list[str] = []

    def send(_: URLLib3Session, request: Any) -> None:
        addresses.append(request.url)
        raise EndpointConnectionError(endpoint_url=request.url)

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(URLLib3Session, "send", send)
    with pytest.raises(DeniedError, match=f"{host}: AWS gives no token for it: Could not connect"):
        aws.exchange(host)
    (address,) = addresses
    assert address.removeprefix("https://").removeprefix("api.") == asked


def test_without_an_identity_aws_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(DeniedError, match=f"{ECR}: AWS gives no token for it: Unable to locate credentials"):
        aws.exchange(ECR)


def test_google_gives_an_access_token(service: TokenService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    service.answer = json.dumps({"access_token": "ya29.test", "expires_in": 3600, "token_type": "Bearer"}).encode()
    identity = {
        "type": "external_account_authorized_user", "audience": "//iam.googleapis.com/x", "refresh_token": "r",
        "token_url": service.address, "client_id": "c", "client_secret": "s",
    }  # fmt: skip
    (tmp_path / "identity.json").write_text(json.dumps(identity))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "identity.json"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test")
    found = gcp.exchange("europe-west4-docker.pkg.dev")
    assert found.credentials == Credentials("oauth2accesstoken", "ya29.test", "application default credentials")
    assert service.forms[0]["refresh_token"] == ["r"]
    assert found.until > 0


def test_without_an_identity_google_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(DeniedError, match=r"Google Cloud gives no token for it: .*missing\.json"):
        gcp.exchange("europe-west4-docker.pkg.dev")


def test_azure_exchanges_a_token_of_entra_at_the_registry(service: TokenService) -> None:
    service.answer = b'{"refresh_token": "abc"}'
    assert azure.exchanged(service.address, "hulls.azurecr.io", "entra") == "abc"
    assert service.forms == [
        {"grant_type": ["access_token"], "service": ["hulls.azurecr.io"], "access_token": ["entra"]}
    ]


@pytest.mark.parametrize(
    ("status", "answer", "error", "message"),
    [
        (401, b"{}", DeniedError, "does not take the Entra token: answered 401; the identity needs the role AcrPush"),
        (503, b"{}", RegistryError, "does not take the Entra token: answered 503; run it again later"),
        (200, b"<html>", RegistryError, "the exchange of tokens failed"),
        (200, b"[]", RegistryError, "gave no refresh_token"),
        (200, b'{"refresh_token": 1}', RegistryError, "gave no refresh_token"),
    ],
)
def test_an_exchange_that_fails_is_told_without_the_token(
    service: TokenService, status: int, answer: bytes, error: type[Exception], message: str
) -> None:
    service.status, service.answer = status, answer
    with pytest.raises(error, match=message) as caught:
        azure.exchanged(service.address, "hulls.azurecr.io", "entra")
    assert "entra" not in str(caught.value).replace("Entra", "")


@dataclass
class Identity:
    """Stands for azure-identity's default chain, and keeps what it was asked."""

    asked: list[tuple[str | None, str]]
    authority: str | None = None

    def __call__(self, authority: str | None = None) -> "Identity":
        return Identity(self.asked, authority)

    def __enter__(self) -> "Identity":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_token(self, scope: str) -> SimpleNamespace:
        self.asked.append((self.authority, scope))
        return SimpleNamespace(token="entra")


@pytest.mark.parametrize(
    ("host", "authority"),
    [
        ("hulls.azurecr.io", None),
        ("hulls.azurecr.cn", AzureAuthorityHosts.AZURE_CHINA),
        ("hulls.azurecr.us", AzureAuthorityHosts.AZURE_GOVERNMENT),
    ],
)
def test_azure_gives_the_registrys_refresh_token_as_a_password(
    service: TokenService, monkeypatch: pytest.MonkeyPatch, host: str, authority: str | None
) -> None:
    payload = base64.urlsafe_b64encode(b'{"exp": 1790000000}').decode().rstrip("=")
    service.answer = json.dumps({"refresh_token": f"header.{payload}.signature"}).encode()
    identity, real, addresses = Identity([]), azure.exchanged, []

    def exchanged(address: str, name: str, token: str) -> str:
        addresses.append(address)
        return real(service.address, name, token)

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", identity)
    monkeypatch.setattr(azure, "exchanged", exchanged)
    found = azure.exchange(host)
    assert (found.credentials.username, found.until) == ("00000000-0000-0000-0000-000000000000", 1_790_000_000)
    assert found.credentials.password == f"header.{payload}.signature"
    assert addresses == [f"https://{host}/oauth2/exchange"]
    assert identity.asked == [(authority, "https://containerregistry.azure.net/.default")]
    assert service.forms == [{"grant_type": ["access_token"], "service": [host], "access_token": ["entra"]}]


def test_without_an_identity_azure_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_token(*_: object) -> None:
        raise CredentialUnavailableError("no identity anywhere\nEnvironmentCredential: a list of all that was tried")

    monkeypatch.setattr("azure.identity.DefaultAzureCredential.get_token", get_token)
    with pytest.raises(DeniedError, match=r"Azure gives no token for it: no identity anywhere \(run `az login`"):
        azure.exchange("hulls.azurecr.io")


@pytest.mark.parametrize(
    ("cloud", "host", "missing", "extra"),
    [
        (aws, ECR, "boto3", "aws"),
        (gcp, "europe-west4-docker.pkg.dev", "google.auth", "gcp"),
        (azure, "hulls.azurecr.io", "azure.identity", "azure"),
    ],
)
def test_a_clouds_sdk_that_is_missing_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, cloud: Any, host: str, missing: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # importing it then fails as when it is not installed
    with pytest.raises(DeniedError, match=rf"{host}: .* is missing: install trihull-runtime\[{extra}\]"):
        cloud.exchange(host)


def test_no_clouds_sdk_is_imported_for_a_registry_of_nobody(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from trihull_runtime.artifacts.registry import credentials\n"
        "assert credentials.find('registry.example') is None\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'boto3', 'google', 'azure'}))"
    )
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_registrys_token_says_itself_when_it_ends() -> None:
    payload = base64.urlsafe_b64encode(b'{"exp": 1790000000}').decode().rstrip("=")
    assert azure.ends(f"header.{payload}.signature") == 1_790_000_000
    assert azure.ends("opaque") == 0


def test_a_token_is_kept_until_shortly_before_it_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    times = [1000.0]
    calls: list[str] = []

    def exchange(host: str) -> Exchanged:
        calls.append(host)
        return Exchanged(Credentials("AWS", str(len(calls)), "test"), times[0] + 1000)

    monkeypatch.setattr(aws, "exchange", exchange)
    finder = Finder(lambda: times[0])
    assert [getattr(finder.find(ECR), "password", None) for _ in range(2)] == ["1", "1"]
    times[0] += 600
    assert getattr(finder.find(ECR), "password", None) == "1"
    times[0] += 200  # less than five minutes are left
    assert getattr(finder.find(ECR), "password", None) == "2"
    assert finder.find("registry.example") is None


def test_a_cloud_that_does_not_answer_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    asked, released = threading.Event(), threading.Event()

    def hanging(host: str) -> Exchanged:
        asked.set()
        released.wait(30)
        return Exchanged(Credentials("AWS", "late", "test"), 1e12)

    monkeypatch.setattr(aws, "exchange", hanging)
    monkeypatch.setattr(gcp, "exchange", lambda host: Exchanged(Credentials("google", "now", "test"), 1e12))
    finder = Finder(lambda: 0.0)
    thread = threading.Thread(target=finder.find, args=(ECR,))
    thread.start()
    try:
        assert asked.wait(30)
        assert getattr(finder.find("eu.gcr.io"), "password", None) == "now"
        assert thread.is_alive()
    finally:
        released.set()
        thread.join()


def test_several_connections_that_ask_at_once_make_one_exchange(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    calls: list[str] = []
    together = threading.Barrier(4)

    def exchange(host: str) -> Exchanged:
        calls.append(host)
        return Exchanged(Credentials("AWS", "password", "test"), 1e12)

    def ask(_: int) -> Credentials | None:
        together.wait(30)
        return finder.find(ECR)

    monkeypatch.setattr(aws, "exchange", exchange)
    finder = Finder(lambda: 0.0)
    with ThreadPoolExecutor(4) as pool:
        assert {found.password if found else None for found in pool.map(ask, range(4))} == {"password"}
    assert calls == [ECR]
