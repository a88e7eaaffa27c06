"""The SDK's command and stack, but such that the engine can be stopped and is asked no more than needed."""

import contextlib
import datetime
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi.automation
from pulumi.automation import CommandResult, LocalWorkspace, Stack
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from trihull_infra.engine import VERSION
from trihull_infra.errors import DeployError


class Command(pulumi.automation.PulumiCommand):
    """The SDK's command, but one that can be stopped: the engine runs in a session of its own."""

    def __init__(self, engine: Path) -> None:
        # The version was checked when the engine was found; the SDK's constructor would start it again to ask.
        self.command = str(engine)
        self.version = VersionInfo.parse(VERSION)
        self.process: subprocess.Popen[str] | None = None
        self.stopped = False

    def stop(self) -> None:
        """Ask the engine, once, to finish what runs and to end."""
        if not self.stopped:
            self.stopped = True
            self._terminate()

    def _terminate(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> CommandResult:
        """Run one command of the engine, as the SDK's own `run` does."""
        if self.stopped:
            raise DeployError("stopped before it began")
        with subprocess.Popen(
            [self.command, "--non-interactive", *(argument for argument in args if argument != "--non-interactive")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            self.process = process
            if self.stopped:  # asked between the test above and the start
                self._terminate()
            texts: dict[str, list[str]] = {"stdout": [], "stderr": []}

            def read(name: str, stream: Any, callback: Callable[[str], Any] | None) -> None:
                for line in stream:
                    texts[name].append(line.rstrip())
                    if callback is not None:
                        callback(line.rstrip())

            threads = [
                threading.Thread(target=read, args=("stdout", process.stdout, on_output)),
                threading.Thread(target=read, args=("stderr", process.stderr, on_error)),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            code = process.wait()
        result = CommandResult("\n".join(texts["stdout"]), "\n".join(texts["stderr"]), code)
        if code != 0:
            raise create_command_error(result)
        return result


class QuickStack(Stack):
    """A stack that does not ask the engine five more times for each operation.

    The SDK selects the stack first, and reads history and outputs (with all secrets in clear) after every `up`. Here
    the events tell the changes, and outputs are read once, with secrets masked.
    """

    def __init__(self, name: str, workspace: LocalWorkspace) -> None:
        """Stand for a stack, whether it exists or not."""
        self.name, self.workspace = name, workspace

    def info(self, show_secrets: bool = True) -> pulumi.automation.UpdateSummary:
        """Return nothing that anybody reads."""
        del show_secrets
        now = datetime.datetime.now(datetime.UTC)
        return pulumi.automation.UpdateSummary("", now, "", {}, {}, "")

    def outputs(self) -> pulumi.automation.OutputMap:
        """Return nothing that anybody reads."""
        return {}
