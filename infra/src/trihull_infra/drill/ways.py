"""Where a drill enters and what it may break, read from the environment's deployed documents."""

import json
import math
from pathlib import Path
from typing import Any

from trihull_infra import environment as environments
from trihull_infra.cloud import Cloud
from trihull_infra.drill.callers import Entry
from trihull_infra.drill.wire import Address
from trihull_infra.errors import SpecError
from trihull_runtime.contract import Fleet, SiteState
from trihull_runtime.errors import UsageError

ROUTERS_VERSION = 1


def fleet_sites(stacks: Path, environment: str, site: str) -> list[str]:
    """Return the fleet's sites that take requests.

    Raises:
        SpecError: there is no fleet (nothing is deployed).
        ContractError: it cannot be read.
        UsageError: `site` is not one of them, or the only one.
    """
    path = stacks / "environments" / f"{environment}.fleet.json"
    if not path.is_file():
        raise SpecError(f"{path} is not there: deploy the environment first (trihull up {environment})")
    fleet = Fleet.read(path)
    sites = [each.name for each in fleet.sites if each.state is SiteState.ACTIVE and each.endpoint is not None]
    if site not in sites:
        raise UsageError(f"{environment} has no active site {site!r}; choose with --site: {', '.join(sites) or 'none'}")
    if len(sites) < 2:
        raise UsageError(
            f"{site} is the only site of {environment}: its outage is everyone's, there is nothing to drill"
        )
    return sites


def find_entry(stacks: Path, environment: str, site: str) -> str:
    """Return the address of a deployed router outside `site`: the first by name.

    Raises:
        SpecError: no router is deployed, the document cannot be read, or only `site` has a router.
    """
    path, routers = _routers(stacks, environment)
    for name in sorted(routers):
        if name != site:
            return routers[name]
    raise SpecError(f"{path}: names no router outside {site}; give one with --entry")


def find_entries(stacks: Path, environment: str, site: str) -> tuple[Entry, ...]:
    """Return the deployed routers as callers at `site` use them: its own first, then the others as DNS lists them.

    That is by the sites' priority; of equal ones in the order in which the clouds are listed.

    Raises:
        SpecError: as `find_entry`, or `site` has no router, or is the only one with a router.
        ContractError: the fleet cannot be read.
        UsageError: a router's address is none.
    """
    path, routers = _routers(stacks, environment)
    if site not in routers:
        raise SpecError(f"{path}: names no router of {site}, so there is none to lose")
    if len(routers) < 2:
        raise SpecError(
            f"{path}: the router of {site} is the only one: its loss is everyone's, there is nothing to drill"
        )
    fleet = Fleet.read(stacks / "environments" / f"{environment}.fleet.json")
    priorities = {each.name: each.priority for each in fleet.sites}
    listed = [cloud.value for cloud in Cloud]

    def place(name: str) -> tuple[bool, float, int, str]:
        rank = listed.index(name) if name in listed else len(listed)
        return name != site, priorities.get(name, math.inf), rank, name

    return tuple(Entry(name, Address.parse(routers[name])) for name in sorted(routers, key=place))


def deployed_policy(stacks: Path, environment: str) -> str:
    """Return the policy of the routers: the fleet's where it names one, else the environment's.

    Raises:
        SpecError, ContractError: the environment or its fleet cannot be read.
    """
    folder = stacks / "environments"
    policy = Fleet.read(folder / f"{environment}.fleet.json").routing.policy
    return str(policy or environments.load(environment, folder).routing.policy)


def _routers(stacks: Path, environment: str) -> tuple[Path, dict[str, str]]:
    path = stacks / "environments" / f"{environment}.routers.json"
    try:
        value: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise SpecError(
            f"{path}: cannot be read: {error.strerror or error}; run trihull up {environment}, or give --entry"
        ) from error
    except ValueError as error:
        raise SpecError(f"{path}: is not valid JSON: {error}") from error
    routers = value.get("routers") if isinstance(value, dict) and value.get("version") == ROUTERS_VERSION else None
    if not isinstance(routers, dict) or not all(isinstance(url, str) for url in routers.values()):
        raise SpecError(f"{path}: expected version {ROUTERS_VERSION} and routers, an object of site to address")
    return path, routers
