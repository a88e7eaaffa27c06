"""moto has imported what it will be asked for before it serves: imports in the threads of requests can deadlock."""

import subprocess
import sys

from trihull_infra.emulators.aws import ecr, eks, iam, kms, logs, s3
from trihull_infra.emulators.aws.handler import AwsHandler
from trihull_infra.emulators.aws.moto import SERVICES

LOADED = """
import sys
from trihull_infra.emulators.aws.moto import SERVICES, Moto
made = Moto()
made.start()
made.wait()
missing = [service for service in SERVICES if f"moto.{service}.models" not in sys.modules]
made.close()
sys.exit(f"not imported: {missing}" if missing else 0)
"""


# What was made without a lock in requests' threads: the tables of routes of the services that are asked by path.
ROUTES = """
import sys
from trihull_infra.emulators.aws.moto import Moto
from moto.core.routing import ServiceOperationRouter
made = Moto()
made.start()
made.wait()
ServiceOperationRouter._get_router = lambda self, protocol, known=ServiceOperationRouter._get_router: (
    known(self, protocol) if protocol in self._routers else sys.exit("made in a request")
)
for service, request in {"s3": "list_buckets", "eks": "list_clusters", "route53": "list_health_checks"}.items():
    getattr(made.client(service, "eu-central-1"), request)()
made.close()
"""


def test_every_service_that_a_handler_asks_is_among_them() -> None:
    modules = {module.__name__ for module in (ecr, eks, iam, kms, logs, s3)}
    found = {kind.service for kind in _below(AwsHandler) if kind.__module__ in modules and kind.service}
    assert len(found) == len(modules)
    assert found <= set(SERVICES)


def test_they_are_imported_before_the_first_request() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


FIRST = """
import sys, threading
sys.setswitchinterval(1e-5)
from trihull_infra.emulators.aws.moto import SERVICES, Moto
made = Moto()
made.start()
made.wait()
begin, problems = threading.Barrier(2 * len(SERVICES)), []
clients = {service: made.client(service, "eu-central-1") for service in SERVICES}
def ask(service):
    begin.wait()
    try:
        getattr(clients[service], SERVICES[service])()
    except Exception as error:
        problems.append(f"{service}: {error!r}")
threads = [threading.Thread(target=ask, args=(service,)) for service in [*SERVICES, *SERVICES]]
for thread in threads: thread.start()
for thread in threads: thread.join()
made.close()
sys.exit("; ".join(problems) or 0)
"""


def test_first_requests_to_every_service_at_once_are_answered() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def test_routes_are_made_before_the_first_request() -> None:
    done = subprocess.run([sys.executable, "-c", ROUTES], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def _below(kind: type[AwsHandler]) -> set[type[AwsHandler]]:
    return {kind}.union(*(_below(one) for one in kind.__subclasses__()))
