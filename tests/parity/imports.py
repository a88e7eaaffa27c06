"""What a program imports, asked of `tests.forking`: the programs are imported here, and no SDK with them."""

import os
import sys
from typing import Any

from tests.parity import mocks
from trihull_infra import dns, provider, routing, serving, site
from trihull_infra.cloud import Cloud
from trihull_runtime.contract import SiteOutputs

SDKS = {Cloud.AWS: "pulumi_aws", Cloud.GCP: "pulumi_gcp", Cloud.AZURE: "pulumi_azure_native"}
PROGRAMS = {"site": site.run, "serving": serving.run, "routing": routing.run, "dns": dns.run}


def loaded() -> list[str]:
    """Return the clouds' SDKs that this process has imported."""
    return [name for name in SDKS.values() if name in sys.modules]


def answer(question: dict[str, str]) -> dict[str, list[str]]:
    """Preview the stack of a project, or load the provider of a cloud; returns the SDKs before and after."""
    before = loaded()
    if "provider" in question:
        provider.load(Cloud(question["provider"]))
    else:
        _preview(question["folder"], question["project"], question["stack"])
    return {"before": before, "after": loaded()}


def _preview(folder: str, project: str, stack: str) -> None:
    outputs: dict[str, Any] = dict.fromkeys(SiteOutputs.__dataclass_fields__, "x")
    outputs |= {"identities": {}, "registry": "registry.example.com/models"}
    os.chdir(folder)
    references = {f"organization/trihull-site/{stack}": outputs}
    mocks.run(PROGRAMS[project], project=f"trihull-{project}", stack=stack, preview=True, references=references)
