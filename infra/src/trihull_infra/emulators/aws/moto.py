"""moto in this process: AWS's control planes on a loopback port, and boto3 clients that speak to it alone."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final
from unittest import mock

from trihull_infra.emulators.guards import ACCOUNT
from trihull_infra.emulators.plugins.provider import RefusedError
from trihull_infra.emulators.recorder.facts import PARSING
from trihull_infra.errors import EmulatorError

LOG = logging.getLogger(__name__)
START_S: Final = 120.0
SERVICES: Final = {  # what the handlers ask, and what those use; with a request to each that changes nothing
    "s3": "list_buckets",
    "kms": "list_keys",
    "logs": "describe_log_groups",
    "iam": "list_roles",
    "ecr": "describe_repositories",
    "eks": "list_clusters",
    "ec2": "describe_vpcs",
    "sts": "get_caller_identity",
    "route53": "list_hosted_zones",
}
REGION: Final = "us-east-1"  # of those requests
# The one zone of the account, which programs find there as they would find their own: id and domain.
HOSTED_ZONE: Final = ("Z0TRIHULLLOCAL", "trihull.internal.")
CREDENTIALS: Final = {"aws_access_key_id": "emulated", "aws_secret_access_key": "emulated"}  # moto checks none


class Moto:
    """The emulated AWS account. It keeps nothing on disk: what was made is made again from the daemon's own memory."""

    def __init__(self) -> None:
        """Prepare; `start` serves."""
        self._ready, self._closing = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._server: Any = None
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self._ids = threading.Lock()

    def start(self) -> None:
        """Import moto and serve, in a thread: importing takes a second, and not everybody needs AWS."""
        threading.Thread(target=self._start, name="moto", daemon=True).start()

    def _start(self) -> None:
        try:
            os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # AWS's own policies, which programs attach
            os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT
            from boto3.session import Session
            from moto.backends import get_backend
            from moto.server import ThreadedMotoServer

            # moto imports a service when it is first asked for, in the request's thread; two such imports at once can
            # wait for each other, and Python lets one fail (_DeadlockError, an answer of 500). So here, one by one.
            for service in SERVICES:
                if self._closing.is_set():  # these are seconds, for which no stop should wait
                    return
                get_backend(service)  # type: ignore[call-overload]  # it wants a literal name
            zone_id, domain = HOSTED_ZONE
            names = get_backend("route53")[ACCOUNT]["aws"]
            zone = names.create_hosted_zone(domain, private_zone=False)
            names.zones[zone_id] = names.zones.pop(zone.resource_id)
            zone.resource_id = zone_id
            server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
            server.start()
            # What moto and its web framework make at the first request of a service (an application, its routes) they
            # make without a lock, and parse routes by `ast`: two at once, and one may fail. So one by one, here.
            endpoint = "http://{}:{}".format(*server.get_host_and_port())
            # One session for all clients: each would read the services' models (EC2's: half a second) again.
            self._session = Session(**CREDENTIALS)
            with PARSING:
                for service, request in SERVICES.items():
                    if self._closing.is_set():
                        server.stop()
                        return
                    with contextlib.closing(_client(self._session, service, REGION, endpoint)) as client:
                        getattr(client, request)()
            self._server = server  # only now: an endpoint that is asked for meanwhile is not there yet
            LOG.info("moto serves AWS at %s", self.endpoint)
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._ready.set()

    @property
    def endpoint(self) -> str | None:
        """Where moto serves; None while it starts."""
        if self._server is None:
            return None
        host, port = self._server.get_host_and_port()
        return f"http://{host}:{port}"

    def wait(self) -> str:
        """Return where moto serves, as soon as it does.

        Raises:
            EmulatorError: it did not start.
        """
        if not self._ready.wait(START_S) or self._failure is not None or self.endpoint is None:
            raise EmulatorError(f"moto, which emulates AWS, did not start: {self._failure or 'no answer in time'}")
        return self.endpoint

    def client(self, service: str, region: str) -> Any:
        """Return a boto3 client of a service; never one that could reach AWS."""
        endpoint = self.wait()
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = _client(self._session, service, region, endpoint)
            return self._clients[service, region]

    @contextlib.contextmanager
    def key_id(self, wanted: str) -> Iterator[None]:
        """Make moto give the next KMS key this id, so that a key keeps its name over restarts of the daemon."""
        self.wait()
        with self._ids, mock.patch("moto.kms.models.generate_key_id", return_value=wanted):
            yield

    def forget_key(self, region: str, key_id: str) -> None:
        """Remove a KMS key at once: the API only ever schedules it, and moto's clock does not run."""
        self.wait()
        from moto.backends import get_backend

        get_backend("kms")[ACCOUNT][region].keys.pop(key_id, None)

    def rename_health_check(self, made: str, wanted: str) -> None:
        """Give a health check the id that the recorder drew, so that it keeps it over restarts of the daemon."""
        self.wait()
        from moto.backends import get_backend

        checks = get_backend("route53")[ACCOUNT]["aws"].health_checks
        checks[wanted] = checks.pop(made)
        checks[wanted].id = wanted

    def close(self) -> None:
        """Stop serving; a start that is under way is given up."""
        self._closing.set()
        if not self._ready.is_set():
            self._ready.wait(START_S)
        for client in self._clients.values():
            client.close()
        if self._server is not None:
            self._server.stop()
            self._server = None


def _client(session: Any, service: str, region: str, endpoint: str) -> Any:
    """Make a client; a session makes one at a time."""
    from botocore.config import Config

    options = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, max_pool_connections=32)
    return session.client(service, region_name=region, endpoint_url=endpoint, config=options)


def called(what: str, call: Callable[[], Any]) -> Any:
    """Call a service; its refusal becomes ours, with its own words.

    Raises:
        RefusedError: the service refuses, or the arguments are none it knows.
    """
    from botocore.exceptions import ClientError, ParamValidationError

    try:
        return call()
    except ClientError as error:
        found = error.response.get("Error", {})
        raise RefusedError(f"{what}: {found.get('Code')}: {found.get('Message')}") from error
    except ParamValidationError as error:
        raise RefusedError(f"{what}: {error}") from error


def gone(call: Callable[[], Any], *codes: str) -> bool:
    """Call a service; say whether it answered that there is no such thing.

    Raises:
        RefusedError: it refuses for another reason.
    """
    from botocore.exceptions import ClientError

    try:
        call()
    except ClientError as error:
        found = error.response.get("Error", {})
        if found.get("Code") in codes:
            return True
        raise RefusedError(f"{found.get('Code')}: {found.get('Message')}") from error
    return False
