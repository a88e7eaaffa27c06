"""Finds the live pages of the routers: an address for an emulated site, a command for a real one.

The admin API listens on its pod's loopback address alone. A pod of an emulated site is a process on this machine, so
its page is reachable as it is; into a real pod leads `kubectl port-forward`, and whoever may do that needs no token.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trihull_infra import naming

PORT_NAME: Final = "admin"


@dataclass(frozen=True)
class RouterPage:
    """Where a router's live page is; `command` is what must run meanwhile, empty when nothing must."""

    url: str
    command: str = ""

    def to_value(self) -> dict[str, str]:
        """Return plain values for `--json`."""
        return {"url": self.url, "command": self.command}


def emulated(sites: Mapping[str, Any], routers: Collection[str]) -> dict[str, RouterPage]:
    """Return site -> the page of its first router that runs, from what the emulators say of their sites.

    Args:
        sites: as `Daemon.sites()` returns them.
        routers: the sites that have a router; one whose router does not run now is left out.
    """
    pages = {}
    for site in sorted(routers):
        for pod in sites.get(site, {}).get("pods", ()):
            port = (pod.get("ports") or {}).get(PORT_NAME)
            if pod.get("deployment") == naming.ROUTER and pod.get("pid") and port:
                pages[site] = RouterPage(f"http://127.0.0.1:{port}/")
                break
    return pages


def forwarded(routers: Collection[str]) -> dict[str, RouterPage]:
    """Return site -> the command that makes its router's page reachable here, and the page's address then.

    The local port is the pod's: the admin API answers for no other host (DNS rebinding).
    """
    port = naming.ROUTER_ADMIN_PORT
    forward = f"kubectl -n {naming.NAMESPACE} port-forward deployment/{naming.ROUTER} {port}"
    return {site: RouterPage(f"http://127.0.0.1:{port}/", forward) for site in sorted(routers)}


def lines(pages: Mapping[str, RouterPage], environment: str) -> list[str]:
    """Return a line for each page, and for real sites what they have in common."""
    found = [f"live page of {site:<6} {page.command or page.url}" for site, page in sorted(pages.items())]
    real = [page for page in pages.values() if page.command]
    if real:
        found.append(
            f"  while that runs, with the kubeconfig of that site ({environment}-SITE), the page is {real[0].url}; "
            "the admin API listens inside the pod alone and asks for no token"
        )
    return found
