"""Which checks an environment gets, in the order in which they are told."""

import datetime
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trihull_infra.cloud import Cloud
from trihull_infra.deploy.context import EMULATED, Documents
from trihull_infra.doctor import documents, findings, local, machine, reaching, seam
from trihull_infra.doctor.findings import Finding
from trihull_infra.doctor.running import Check
from trihull_infra.doctor.seam import Asked, Doctor
from trihull_infra.environment import Environment


def of(environment: Environment, clouds: Sequence[Cloud], stacks: Path) -> list[Check]:
    """Return the checks of an environment; `clouds` are those that were asked for.

    Nothing is asked here, and only these clouds' SDKs are imported.
    """
    folder = stacks / "environments"
    beside = Documents(folder, environment.name)
    emulated = environment.name == EMULATED
    found = [
        _neutral("Python", machine.python),
        _neutral("engine", machine.the_engine),
        _neutral("git", machine.git),
    ]
    if emulated:
        found += [
            _neutral("packages", partial(local.packages, clouds)),
            _neutral("state home", local.home),
            _neutral("emulators", local.daemon),
            _neutral("pods", local.pods),
        ]
    else:
        found += [
            _neutral("plugins", partial(machine.plugins, clouds)),
            _neutral("state", machine.state),
            _neutral("secrets", partial(machine.secrets, environment, stacks, clouds)),
        ]
    now = datetime.datetime.now(datetime.UTC)
    found += [
        _neutral("environment", lambda: [findings.ok(f"{environment.name}: {', '.join(environment.clouds)}")]),
        _neutral("releases", partial(documents.releases, beside)),
        _neutral("fleet", partial(documents.fleet, beside)),
        _neutral("certificates", partial(documents.certificates, beside, now)),
    ]
    if not emulated:
        found.append(_neutral("support", partial(documents.support, environment, clouds, now.date())))
    return found if emulated else [*found, *(check for cloud in clouds for check in _of(environment, cloud, folder))]


def _neutral(name: str, ask: Callable[[], Sequence[Finding]]) -> Check:
    return Check(name, None, ask)


def _of(environment: Environment, cloud: Cloud, folder: Path) -> list[Check]:
    """Return the checks of one cloud."""
    login = Check("login program", cloud, partial(machine.login, cloud))
    try:
        doctor = seam.load(cloud)
    except ImportError as error:
        missing = findings.failed(f"{error.name} is not installed", f"install trihull-infra[{cloud}]")
        return [login, Check("credentials", cloud, lambda: [missing])]
    asked = Asked(environment, cloud, folder)

    def check(name: str, ask: Callable[[Asked], Any]) -> Check:
        return Check(name, cloud, partial(ask, asked), doctor.problem)

    return [
        login,
        check("clock", lambda one: reaching.clock(doctor.host(one))),
        check("credentials", doctor.credentials),
        check("APIs", doctor.apis),
        check("quotas", doctor.quotas),
        check("offers", doctor.offers),
        check("Kubernetes version", doctor.versions),
        check("API server", partial(_api_server, doctor)),
    ]


def _api_server(doctor: Doctor, asked: Asked) -> Sequence[Finding]:
    return reaching.api_server(doctor.cluster(asked), not asked.environment.api_server.authorised_networks)
