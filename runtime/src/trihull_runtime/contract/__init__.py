"""The documents every other part agrees on: plain frozen dataclasses and versioned JSON, standard library only.

Everything here may be imported by any member. A document with an unknown version, an unknown field, a missing field or
a field of the wrong type is refused with a `ContractError` that names the path of what is wrong.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from trihull_runtime.contract.clients import Client, Clients, Issuer
    from trihull_runtime.contract.errors import ContractError
    from trihull_runtime.contract.fleet import Endpoint, Fleet, FleetSite, SiteState
    from trihull_runtime.contract.manifest import DataType, FileDigest, ModelManifest, Signature, Tensor
    from trihull_runtime.contract.release import (
        Attestation,
        Evaluation,
        Gate,
        Image,
        Release,
        ReleasedModel,
        RouterBuild,
        Verdict,
    )
    from trihull_runtime.contract.releases import EnvironmentReleases, ReleasedRouter, SiteRelease
    from trihull_runtime.contract.routing import (
        Canary,
        KnownAnswer,
        KnownTensor,
        Policy,
        ResidencyClass,
        Routing,
        Shadow,
    )
    from trihull_runtime.contract.serving import ServedModel, ServingOutputs
    from trihull_runtime.contract.site import NodePool, SiteOutputs

__all__ = [
    "Attestation",
    "Canary",
    "Client",
    "Clients",
    "ContractError",
    "DataType",
    "Endpoint",
    "EnvironmentReleases",
    "Evaluation",
    "FileDigest",
    "Fleet",
    "FleetSite",
    "Gate",
    "Image",
    "Issuer",
    "KnownAnswer",
    "KnownTensor",
    "ModelManifest",
    "NodePool",
    "Policy",
    "Release",
    "ReleasedModel",
    "ReleasedRouter",
    "ResidencyClass",
    "RouterBuild",
    "Routing",
    "ServedModel",
    "ServingOutputs",
    "Shadow",
    "Signature",
    "SiteOutputs",
    "SiteRelease",
    "SiteState",
    "Tensor",
    "Verdict",
]

HOMES: Final = {
    "clients": ("Client", "Clients", "Issuer"),
    "errors": ("ContractError",),
    "fleet": ("Endpoint", "Fleet", "FleetSite", "SiteState"),
    "manifest": ("DataType", "FileDigest", "ModelManifest", "Signature", "Tensor"),
    "release": ("Attestation", "Evaluation", "Gate", "Image", "Release", "ReleasedModel", "RouterBuild", "Verdict"),
    "releases": ("EnvironmentReleases", "ReleasedRouter", "SiteRelease"),
    "routing": ("Canary", "KnownAnswer", "KnownTensor", "Policy", "ResidencyClass", "Routing", "Shadow"),
    "serving": ("ServedModel", "ServingOutputs"),
    "site": ("NodePool", "SiteOutputs"),
}

if not TYPE_CHECKING:  # else every name would be one, to a type checker

    def __getattr__(name: str) -> Any:
        """Import a document's module when it is first asked for: a command reads one or two of them."""
        for module, names in HOMES.items():
            if name in names:
                return getattr(importlib.import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
