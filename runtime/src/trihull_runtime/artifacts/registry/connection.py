"""One repository's HTTP: python-dxf's authentication below, our time limits, retries and errors around every request.

Connections are kept and used again by whichever thread comes next. A request that could go better later is made again
(`retrying`); what a registry says otherwise becomes one clear error. Credentials are sent to the registry's own host,
and to the token service that it names, and nowhere else.
"""

import functools
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, BinaryIO, Final
from urllib.parse import urljoin, urlsplit

import dxf
import requests
import requests.adapters
import requests.utils
import urllib3
from dxf import exceptions as dxf_errors

from trihull_runtime.artifacts.errors import ContentError, DeniedError, RegistryError
from trihull_runtime.artifacts.registry.keychain import Credentials, Keychain
from trihull_runtime.artifacts.registry.retrying import TEMPORARY, Retry

CA_VARIABLE: Final = "TRIHULL_REGISTRY_CA"  # a file of certificates to trust beside none: a registry with its own CA
TIMEOUT_S: Final = (10.0, 60.0)  # to connect, and between two answers of the server
TIMEOUT: Final = urllib3.Timeout(connect=TIMEOUT_S[0], read=TIMEOUT_S[1])
REDIRECTS: Final = (301, 302, 303, 307, 308)
REDIRECTS_MAX: Final = 5
SHOWN_CHARACTERS: Final = 200
Broken = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    urllib3.exceptions.HTTPError,
)


class AnsweredError(RegistryError):
    """The registry answered, and not what was expected; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        """Keep the status."""
        self.status = status
        super().__init__(message)


class MissingError(AnsweredError, ContentError):
    """The registry does not have what was asked for."""


@dataclass
class _Client:
    """Who one is to the registry, in one request at a time; `make` gives what signs in."""

    make: Callable[[], Any]

    @functools.cached_property
    def dxf(self) -> Any:
        """Signs in and follows redirects, over a connection of its own: made for the first request that needs it."""
        return self.make()

    @property
    def headers(self) -> Mapping[str, str]:
        """What the registry let one in with, when it wanted to know."""
        return dict(self.dxf._headers) if "dxf" in vars(self) else {}

    @property
    def session(self) -> requests.Session:
        """What `dxf` makes its requests by."""
        session = self.dxf._sessions[0]
        assert isinstance(session, requests.Session)
        return session

    def close(self) -> None:
        """Close its connection."""
        if "dxf" in vars(self):
            self.session.close()


@dataclass
class Connection:
    """A repository's connections.

    Attributes:
        host: with its port.
        repository: its name there.
        keychain: asked when the registry wants to know who one is.
        retry: how often to try.
        insecure: whether to speak plain HTTP; None does so with this machine only.
    """

    host: str
    repository: str
    keychain: Keychain
    retry: Retry = field(default_factory=Retry)
    insecure: bool | None = None
    _idle: list[_Client] = field(default_factory=list, repr=False)  # that no request is using
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)  # of making the pool
    _used: list[Credentials | None] = field(default_factory=list, repr=False)

    @property
    def name(self) -> str:
        """What errors call the repository."""
        return f"{self.host}/{self.repository}"

    @functools.cached_property
    def plain(self) -> bool:
        """Whether plain HTTP is spoken."""
        if self.insecure is not None:
            return self.insecure
        name = urlsplit(f"//{self.host}").hostname or ""
        try:
            return ip_address(name).is_loopback and CA_VARIABLE not in os.environ
        except ValueError:
            return name == "localhost" and CA_VARIABLE not in os.environ

    def request(
        self,
        method: str,
        path: str | Callable[[], str],
        doing: str,
        *,
        expect: tuple[int, ...],
        consume: Callable[[requests.Response], Any] = lambda response: response,
        body: Callable[[], bytes | BinaryIO | None] = lambda: None,
        passing: frozenset[str] = frozenset(),
        **options: Any,
    ) -> Any:
        """Make a request until it goes well, and return what `consume` made of the answer.

        Args:
            method: as `get`.
            path: below the repository (`blobs/...`), or a whole address that the registry gave; what is called gives
                it anew for every attempt.
            doing: what it is for, as errors say it.
            expect: the status codes that are right.
            consume: reads the answer; what breaks in it is tried again too.
            body: gives the body anew for every attempt.
            passing: error codes of a registry that a later request may not meet, whatever status they come with.
            options: of `requests`, as headers.

        Raises:
            DeniedError: 401 or 403. AnsweredError: another answer, after the retries that could help.
            RegistryError: no answer, likewise, or one that cannot be believed.
        """
        begun, failures = self.retry.clock(), 0
        while True:
            failures += 1
            address = path if isinstance(path, str) else path()
            client = self._take()
            try:
                response = self._once(client, method, address, body(), options)
                if response.status_code in expect:
                    return consume(response)
                problem: RegistryError = self._problem(response, doing)
                after = response.headers.get("Retry-After")
                lasts = response.status_code not in TEMPORARY and passing.isdisjoint(_errors(response))
                response.close()
                if lasts:
                    raise problem
            except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
                # It will not get another certificate by asking again.
                advice = f"trust its authority with {CA_VARIABLE}=FILE if it is yours"
                raise RegistryError(f"{self.name}: {doing}: {_said(error)}; {advice}") from error
            except Broken as error:
                problem, after = RegistryError(f"{self.name}: {doing}: {_said(error)}"), None
                client.close()  # nobody knows its state after a failure; it is opened again when it is used
            finally:
                self._idle.append(client)
            wait_s = self.retry.wait_s(failures, after)
            if failures >= self.retry.attempts or self.retry.clock() - begun + wait_s > self.retry.total_s:
                problem.args = (f"{problem} (tried {failures} times; run it again when the registry is well)",)
                raise problem
            self.retry.sleep(wait_s)

    @functools.cached_property
    def address(self) -> str:
        """The address that a registry's relative ones are relative to."""
        return f"{'http' if self.plain else 'https'}://{self.host}/v2/{self.repository}/"

    def _once(
        self, client: _Client, method: str, path: str, body: bytes | BinaryIO | None, options: Mapping[str, Any]
    ) -> requests.Response:
        address = urljoin(self.address, path)
        own = urlsplit(address).netloc == self.host
        plain = body is None or isinstance(body, bytes)
        try:
            with self._lock:
                pool = self._pool
            if own and pool is not None:
                response = self._ask(client, pool, method, address, body, options)
                if response.status_code not in ((*REDIRECTS, 401) if plain else (401,)):
                    return response
                response.close()
            if own and plain:
                result: requests.Response = client.dxf._base_request(method, address, data=body, **options)
                return result
            # A file is not sent twice, as signing in amid a request would: whoever opened the upload has signed in.
            # And a storage service that the registry sends uploads to learns no credentials of ours.
            if own and pool is not None:  # the token ended between the upload's opening and its content
                raise requests.ConnectionError("signed out amid an upload")
            signed = {**options.get("headers", {}), **(client.headers if own else {})}
            sent: requests.Response = client.session.request(
                method, address, data=body, timeout=TIMEOUT_S, allow_redirects=False, verify=client.dxf._tlsverify,
                **{**options, "headers": signed},
            )  # fmt: skip
            if own and sent.status_code == 401:
                sent.close()
                raise requests.ConnectionError("signed out amid an upload")
            return sent
        except Broken:
            raise
        except requests.HTTPError as error:
            if error.response is None:
                raise RegistryError(f"{self.name}: {_said(error)}") from error
            return error.response
        except dxf_errors.DXFUnauthorizedError:
            raise self._denied() from None
        except (dxf_errors.DXFError, requests.RequestException, KeyError, ValueError, AssertionError) as error:
            raise RegistryError(f"{self.name}: {type(error).__name__}: {_said(error)}") from error

    def _ask(
        self,
        client: _Client,
        pool: urllib3.HTTPConnectionPool,
        method: str,
        address: str,
        body: bytes | BinaryIO | None,
        options: Mapping[str, Any],
    ) -> requests.Response:
        """Make a request as `requests` would make it, but for redirects and signing in."""
        headers = {"Accept": "*/*", **options.get("headers", {}), **client.headers}
        if method not in ("get", "head"):
            size = len(body or b"") if body is None or isinstance(body, bytes) else os.fstat(body.fileno()).st_size
            headers["Content-Length"] = str(size)
        parts = urlsplit(address)
        answer = pool.urlopen(
            method.upper(), f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers,
            retries=False, redirect=False, preload_content=False, decode_content=False, timeout=TIMEOUT,
        )  # fmt: skip
        response = requests.Response()
        response.status_code, response.reason, response.url = answer.status, answer.reason or "", address
        response.headers.update(answer.headers)
        response.raw = answer
        if not options.get("stream"):
            response.content  # noqa: B018  # read it, so that the connection is free
        return response

    def _take(self) -> _Client:
        try:
            return self._idle.pop()
        except IndexError:
            return _Client(self._signing)

    def _signing(self) -> Any:
        client = dxf.DXF(self.host, self.repository, self._sign_in, insecure=self.plain, tlsverify=self._trusted)
        client.__enter__()  # a session: one connection that is kept
        session = client._sessions[0]
        assert isinstance(session, requests.Session)
        # Without this, requests would put what ~/.netrc has for the host over our own.
        session.auth = lambda request: request
        session.max_redirects = REDIRECTS_MAX
        client._timeout = TIMEOUT_S  # type: ignore[assignment]  # requests takes a pair, which dxf's types do not say
        return client

    @property
    def _trusted(self) -> bool | str:
        return os.environ.get(CA_VARIABLE) or True

    @functools.cached_property
    def _pool(self) -> urllib3.HTTPConnectionPool | None:
        """What `requests` would use for this registry, by the environment's settings; None where a proxy is between.

        What needs no signing in and follows no redirect is asked here, at half the cost.
        """
        session = requests.Session()
        settings = session.merge_environment_settings(self.address, {}, None, self._trusted, None)
        if requests.utils.select_proxy(self.address, settings["proxies"]):
            return None
        adapter = session.get_adapter(self.address)
        assert isinstance(adapter, requests.adapters.HTTPAdapter)
        pool = adapter.get_connection_with_tls_context(
            requests.Request("GET", self.address).prepare(), settings["verify"]
        )
        adapter.cert_verify(pool, self.address, settings["verify"], None)
        return pool

    def _sign_in(self, client: Any, response: requests.Response) -> None:
        if urlsplit(response.url).netloc != self.host:  # whoever a registry redirects to may not ask for its password
            raise DeniedError(
                f"{self.name}: redirects to {urlsplit(response.url).netloc}, which wants credentials; refused"
            )
        credentials = self.keychain(self.host)
        self._used.append(credentials)
        if credentials is None:
            client.authenticate(actions=None, response=response)
        else:
            client.authenticate(credentials.username, credentials.password, response=response)

    def _denied(self) -> DeniedError:
        used = self._used[-1] if self._used else None
        if used is None:
            return DeniedError(
                f"{self.name}: wants credentials, and none were found for {self.host}: run `docker login`"
            )
        return DeniedError(f"{self.name}: does not accept the credentials of {used.username!r} from {used.origin}")

    def _problem(self, response: requests.Response, doing: str) -> RegistryError:
        text = f"{self.name}: {doing}: the registry answered {response.status_code}{_reason(response)}"
        if response.status_code in (401, 403):
            return DeniedError(f"{text}; {self._denied()}")
        return (MissingError if response.status_code == 404 else AnsweredError)(text, response.status_code)


def _errors(response: requests.Response) -> dict[str, str]:
    """Return the codes and messages that a registry gives (distribution specification, "Error Codes")."""
    try:
        return {str(error["code"]): str(error.get("message", "")) for error in response.json()["errors"]}
    except (ValueError, KeyError, TypeError, AttributeError, *Broken):
        return {}


def _reason(response: requests.Response) -> str:
    """Return what the registry says of an error, made safe to print."""
    errors = _errors(response)
    said = ", ".join(f"{code}: {message}" for code, message in errors.items()) or response.reason or ""
    return f" ({_printable(said)})" if said else ""


def _said(error: BaseException) -> str:
    """Return what went wrong at the bottom: HTTP clients wrap it several times."""
    inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    if isinstance(inner, BaseException):
        return _said(inner)
    return _printable(str(error) or type(error).__name__)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:SHOWN_CHARACTERS]
