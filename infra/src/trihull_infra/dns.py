"""The program of an environment's name: the routers of all its sites behind one name, with failover between them.

It is the one program for a whole environment: its stack is called like the environment. What it knows of other clouds
is a document, `<environment>.routers.json`, so no cloud but the one that hosts the zone can stop it.
"""

import pulumi

from trihull_infra import domain, program, provider
from trihull_infra.deploy.context import Documents
from trihull_infra.domain import RouterEndpoint
from trihull_infra.environment import Environment
from trihull_infra.errors import SpecError
from trihull_infra.provider import Site


def run() -> None:
    """Register the records and export `name`, `ttl_s` and, in the order of failover, `sites`."""
    environment = program.begin_whole()
    spec = environment.dns
    if spec is None:
        raise SpecError(f"{environment.name}.yaml: dns: is missing, so there is no name to register (docs/dns.md)")
    routers = known(environment, Documents(program.ENVIRONMENTS, environment.name))
    site = Site(environment, spec.cloud)
    cloud = provider.load(spec.cloud)
    made = cloud.dns(site, spec, routers, pulumi.ResourceOptions(providers=[cloud.connect(site)]))
    pulumi.export("name", spec.name)
    pulumi.export("ttl_s", spec.ttl_s)
    sites = [
        {"site": str(router.site), "host": router.host, "port": router.port, "check": made.checks[router.site]}
        for router in routers
    ]
    pulumi.export("sites", sites)


def known(environment: Environment, documents: Documents) -> tuple[RouterEndpoint, ...]:
    """Return the routers that answer, in the order of failover: by the sites' priority, then as the clouds are listed.

    Raises:
        SpecError: none is known, or the address of one is none.
        ContractError: the document cannot be read.
    """
    urls = documents.read_routers()
    there = [cloud for cloud in environment.clouds if cloud in urls]
    if not there:
        raise SpecError(
            f"{documents.routers}: names no router of {environment.name}; bring them up with `trihull up "
            f"{environment.name}`, or read their stacks with `trihull fleet {environment.name}`"
        )
    order = sorted(there, key=lambda cloud: environment.site(cloud).priority)
    return tuple(domain.endpoint(cloud, urls[cloud]) for cloud in order)
