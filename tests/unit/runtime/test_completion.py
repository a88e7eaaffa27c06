"""Shell completion of the command, as docs/installing.md switches it on, and what a press of Tab costs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TRIHULL = Path(sys.executable).parent / "trihull"
HEAVY = {
    "pulumi", "pulumi_aws", "pulumi_gcp", "pulumi_azure_native", "pulumi_kubernetes", "boto3", "google.auth", "azure",
    "onnxruntime", "numpy", "grpc", "pydantic", "yaml", "rich", "cryptography", "requests", "moto", "uvicorn",
}  # fmt: skip


def lines() -> dict[str, str]:
    """The line of docs/installing.md for each shell."""
    section = (ROOT / "docs/installing.md").read_text().partition("## Completion\n")[2]
    found = re.findall(r"^\| (\w+).*? \| `(.+?)` \|", section, re.MULTILINE)
    return {shell: line.replace("\\|", "|") for shell, line in found}


def completed(*words: str) -> list[str]:
    """What bash offers for the last word, after the documented line."""
    script = """
eval "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_trihull_completion trihull
printf '%s\\n' "${COMPREPLY[@]}"
"""
    environ = {**os.environ, "PATH": f"{TRIHULL.parent}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-c", script, "bash", lines()["bash"], *words],
        env=environ, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert result.stderr == ""
    return result.stdout.split()


def test_bash_completes_commands_and_options_of_every_member() -> None:
    assert {"package", "up", "doctor", "route", "init"} <= set(completed("trihull", ""))
    assert completed("trihull", "pre") == ["predict", "preview"]
    assert completed("trihull", "init", "--wh") == ["--wheels"]


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete -o nosort"), ("zsh", "#compdef"), ("fish", "complete")])
def test_each_documented_shell_gets_a_script(shell: str, mark: str) -> None:
    assert f"_TRIHULL_COMPLETE={shell}_source trihull" in lines()[shell]
    environ = {**os.environ, "_TRIHULL_COMPLETE": f"{shell}_source"}
    result = subprocess.run([TRIHULL], env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert mark in result.stdout
    assert "_TRIHULL_COMPLETE" in result.stdout


def test_a_press_of_tab_imports_no_sdk() -> None:
    program = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); sys.argv[0] = 'trihull'\n"
        "from trihull_runtime.cli import main; main()"
    )
    environ = {**os.environ, "_TRIHULL_COMPLETE": "bash_complete", "COMP_WORDS": "trihull up --", "COMP_CWORD": "2"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert "plain,--cloud" in result.stdout
    assert "trihull_infra.deploy.command" in result.stderr.split()
    assert set(result.stderr.split()) & HEAVY == set()
