"""One operation of the real engine on an inline program, in a process of its own, as the product runs them.

Reads a JSON object from standard input and writes one: {"changes", "outputs", "secret"} or {"error"}.
"""

import functools
import importlib
import json
import sys
import warnings
from typing import Any

from pulumi import automation


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


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the SDKs' own; ours are errors in the tests' process
    try:
        found = run(json.load(sys.stdin))
    except automation.CommandError as error:
        found = {"error": str(error)}
    json.dump(found, sys.stdout)
