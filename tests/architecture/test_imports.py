"""The layers of ARCHITECTURE.md hold, statically (import-linter) and where it counts (a fresh interpreter)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `statement`."""
    program = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_import_contracts_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("trihull_runtime.contract", {"msgspec", "pydantic", "numpy", "click", "pulumi", "yaml"}),
        ("trihull_runtime.server.__main__", {"pulumi", "trihull_infra", "trihull_packaging", "click", "boto3"}),
        ("trihull_runtime.router.__main__", {"pulumi", "trihull_infra", "trihull_packaging", "onnxruntime", "boto3"}),
        ("trihull_packaging.command", {"pulumi", "trihull_infra", "onnxruntime", "boto3"}),
    ],
)
def test_importing_a_part_leaves_the_others_out(module: str, absent: set[str]) -> None:
    assert not imported_by(f"import {module}") & absent


def test_help_loads_no_cloud_sdk_and_no_engine() -> None:
    heavy = {"pulumi", "pulumi_aws", "pulumi_gcp", "pulumi_azure_native", "pulumi_kubernetes", "onnxruntime", "moto"}
    loaded = imported_by(
        "import click\n"
        "from trihull_runtime.cli import trihull\n"
        "with click.Context(trihull) as context: trihull.get_help(context)"
    )
    assert not loaded & heavy


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_loading_one_provider_imports_no_other_cloud_s_sdk(cloud: str) -> None:
    sdks = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure": "pulumi_azure_native"}
    loaded = imported_by(f"from trihull_infra import cloud, provider\nprovider.load(cloud.Cloud('{cloud}'))")
    assert loaded & set(sdks.values()) <= {sdks[cloud]}
