"""Finds what an environment may say of a cloud: the model beside its provider, read without the cloud's SDK."""

import importlib

from trihull_infra.cloud import Cloud
from trihull_infra.machines import Machine
from trihull_infra.spec.sites import ProvisionedSpec, SiteSpec


def of(cloud: Cloud) -> type[SiteSpec]:
    """Return the model of `clouds.<cloud>`: `SPEC` of `providers/<cloud>/spec.py`, or of a provider in one file."""
    name = f"trihull_infra.providers.{cloud}"
    try:
        module = importlib.import_module(f"{name}.spec")
    except ModuleNotFoundError as error:
        if error.name != f"{name}.spec":
            raise
        module = importlib.import_module(name)
    found: type[SiteSpec] = module.SPEC
    return found


def provisions(cloud: Cloud) -> bool:
    """Whether trihull makes a site's machines on this cloud, so that machine classes must mean something there."""
    return issubclass(of(cloud), ProvisionedSpec)


def offers(cloud: Cloud, machine: Machine) -> bool:
    """Whether a site on this cloud can have machines of a class: it has instance types of it, or needs none."""
    spec = of(cloud)
    return not issubclass(spec, ProvisionedSpec) or spec.machines_of_any_size or bool(machine.types.get(cloud))
