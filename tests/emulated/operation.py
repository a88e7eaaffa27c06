"""One operation of the real engine on an inline program, in a process of its own, as the product runs them.

`tests.forking` imports this module once, and with it what the programs use of the SDKs; each operation is a fork of it.
"""

import functools
import gc
import importlib
import os
import warnings
from typing import Any

import pulumi_aws
import pulumi_azure_native
import pulumi_gcp
import pulumi_kubernetes
import pulumi_tls
from pulumi import automation

warnings.simplefilter("ignore")  # the SDKs' own; ours are errors in the tests' process
# Submodules are imported when they are first looked at: here once, and not in every fork.
USED = [
    *(
        getattr(pulumi_aws, name).__dict__
        for name in ("cloudwatch", "ec2", "ecr", "eks", "iam", "kms", "route53", "s3")
    ),
    *(
        getattr(pulumi_gcp, name).__dict__
        for name in ("artifactregistry", "compute", "container", "dns", "organizations", "serviceaccount", "storage")
    ),
    *(
        getattr(pulumi_azure_native, name).__dict__
        for name in ("containerregistry", "containerservice", "managedidentity", "resources", "storage")
    ),
    pulumi_kubernetes.apps.v1.__dict__,
    pulumi_kubernetes.core.v1.__dict__,
    pulumi_tls.__dict__,
]


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked; gives {"changes", "outputs", "secret"}, the stack's deployment, or {"error"}."""
    gc.disable()  # this fork ends with the operation, whose time is a third collecting otherwise
    os.environ.clear()
    os.environ.update(asked["environment"])
    try:
        return run(asked)
    except automation.CommandError as error:
        return {"error": str(error)}


def run(asked: dict[str, Any]) -> dict[str, Any]:
    module, _, name = asked["program"].partition(":")
    program = functools.partial(getattr(importlib.import_module(module), name), asked["options"])
    options = automation.LocalWorkspaceOptions(work_dir=asked["folder"])
    stack = automation.create_or_select_stack(asked["stack"], asked["project"], program, opts=options)
    if asked["operation"] == "export":
        return {"deployment": stack.export_stack().deployment}
    if asked["operation"] == "preview":
        summary = stack.preview(on_output=lambda _: None).change_summary
        return {"changes": {str(getattr(kind, "value", kind)): number for kind, number in summary.items()}}
    result = getattr(stack, asked["operation"])(on_output=lambda _: None)
    answer: dict[str, Any] = {"changes": result.summary.resource_changes or {}}
    if asked["operation"] == "up":
        answer["outputs"] = {key: output.value for key, output in result.outputs.items()}
        answer["secret"] = sorted(key for key, output in result.outputs.items() if output.secret)
    return answer
