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


def test_every_service_that_a_handler_asks_is_among_them() -> None:
    modules = {module.__name__ for module in (ecr, eks, iam, kms, logs, s3)}
    found = {kind.service for kind in _below(AwsHandler) if kind.__module__ in modules and kind.service}
    assert len(found) == len(modules)
    assert found <= set(SERVICES)


def test_they_are_imported_before_the_first_request() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def _below(kind: type[AwsHandler]) -> set[type[AwsHandler]]:
    return {kind}.union(*(_below(one) for one in kind.__subclasses__()))
