"""The status of the emulators as a person reads it."""

from typing import Any

from rich.console import Console
from rich.table import Table


def status(found: dict[str, Any]) -> None:
    """Print what `GET /status` answered."""
    console = Console(soft_wrap=True)
    console.print(f"emulators: pid {found['pid']}, epoch {found['epoch']}, {found['home']}", highlight=False)
    if endpoint := found.get("moto"):
        console.print(f"AWS by moto: {endpoint}", highlight=False)
    sites = Table("site", "cluster", "pod", "pid", "ready", "app", "ports", title="sites", title_justify="left")
    for name, site in found["sites"].items():
        for pod in site["pods"] or [{}]:
            values = [str(pod.get(key, "")) for key in ("name", "pid", "ready", "app")]
            ports = ", ".join(f"{port} {number}" for port, number in pod.get("ports", {}).items())
            sites.add_row(name, site["cluster"], *values, ports)
    console.print(sites)
    for name, site in found["sites"].items():
        for one in site.get("not_run", []):
            where = f"{name}: {one['kind']} {one['namespace']}/{one['name']}"
            console.print(f"{where} is stored and not run here: {one['reason']}", highlight=False, markup=False)
    resources = Table("package", "type", "resources", "emulation", title="resources", title_justify="left")
    capabilities = found.get("capabilities", {})
    for package, types in found["resources"].items():
        for token, number in types.items():
            resources.add_row(package, token, str(number), capabilities.get(token, "recorded"))
    console.print(resources)
