"""moto has imported what it will be asked for before it serves: imports in the threads of requests can deadlock."""

import json
import subprocess
import sys

import pytest

from trihull_infra.emulators.aws import ecr, eks, iam, kms, logs, s3
from trihull_infra.emulators.aws.handler import AwsHandler
from trihull_infra.emulators.aws.moto import SERVICES

# A process that has imported nothing before: what is there when moto serves, what the first requests make, and how
# first requests to every service at once are answered. Routes, tables of the services that are asked by path, were made
# without a lock in requests' threads.
PROGRAM = """
import json, sys, threading
from trihull_infra.emulators.aws.moto import SERVICES, Moto
moto = Moto()
moto.start()
moto.wait()
missing = [service for service in SERVICES if f"moto.{service}.models" not in sys.modules]

from moto.core.routing import ServiceOperationRouter
get_router, late = ServiceOperationRouter._get_router, []

def watched(self, protocol):
    if protocol not in self._routers:
        late.append(repr(self))
    return get_router(self, protocol)

ServiceOperationRouter._get_router = watched
sys.setswitchinterval(1e-5)
begin, problems = threading.Barrier(2 * len(SERVICES)), []
clients = {service: moto.client(service, "eu-central-1") for service in SERVICES}
def ask(service):
    begin.wait()
    try:
        getattr(clients[service], SERVICES[service])()
    except Exception as error:
        problems.append(f"{service}: {error!r}")
threads = [threading.Thread(target=ask, args=(service,)) for service in [*SERVICES, *SERVICES]]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.setswitchinterval(0.005)
for service, request in {"s3": "list_buckets", "eks": "list_clusters", "route53": "list_health_checks"}.items():
    getattr(moto.client(service, "eu-central-1"), request)()
moto.close()
print(json.dumps({"missing": missing, "late": late, "problems": problems}))
"""


@pytest.fixture(scope="module")
def served() -> dict[str, list[str]]:
    """What the process says, asked once for all tests."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_every_service_that_a_handler_asks_is_among_them() -> None:
    modules = {module.__name__ for module in (ecr, eks, iam, kms, logs, s3)}
    found = {kind.service for kind in _below(AwsHandler) if kind.__module__ in modules and kind.service}
    assert len(found) == len(modules)
    assert found <= set(SERVICES)


def test_they_are_imported_before_the_first_request(served: dict[str, list[str]]) -> None:
    assert served["missing"] == []


def test_first_requests_to_every_service_at_once_are_answered(served: dict[str, list[str]]) -> None:
    assert served["problems"] == []


def test_routes_are_made_before_the_first_request(served: dict[str, list[str]]) -> None:
    assert served["late"] == []


def _below(kind: type[AwsHandler]) -> set[type[AwsHandler]]:
    return {kind}.union(*(_below(one) for one in kind.__subclasses__()))
