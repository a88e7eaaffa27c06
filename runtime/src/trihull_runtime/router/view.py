"""What an operator sees: status and metrics, put together from the control loop, Envoy and what was asked."""

import asyncio
import dataclasses
import datetime
import json
import time
from typing import Any

from trihull_runtime.router.control import Control
from trihull_runtime.router.errors import EnvoyError
from trihull_runtime.router.knowledge import Knowledge
from trihull_runtime.router.metrics import Facts, render_metrics
from trihull_runtime.router.status import model_status


class View:
    """Reads, never changes."""

    def __init__(self, control: Control, knowledge: Knowledge) -> None:
        self._control, self._knowledge = control, knowledge

    async def status(self) -> dict[str, Any]:
        """Return everything an operator asks for first."""
        control = self._control
        clusters, server = None, {}
        try:
            clusters = await self._envoy("/clusters?format=json")
            server = await self._envoy("/server_info")
        except EnvoyError as error:
            server = {"problem": str(error)}
        refusal = control.refusal
        plan = control.plan
        rows = model_status(plan, clusters, control.health, self._knowledge.prober.latency_s)
        return {
            "environment": control.fleet.environment,
            "site": control.settings.site,
            "policy": plan.routing.policy or control.settings.policy,
            "config": {
                "version": control.memory.config_version,
                "source": control.memory.fleet_source,
                "refused": None if refusal is None else dataclasses.asdict(refusal),
                "refused_total": control.refused_total,
            },
            "envoy": {
                "alive": await asyncio.to_thread(control.process.alive),
                "pid": await asyncio.to_thread(control.process.pid),
                "restarts": control.process.restarts,
                "version": server.get("version"),
                "state": server.get("state"),
                "problem": server.get("problem"),
            },
            "models": {
                model.key: {
                    "accepted": model.accepted,
                    "residency_class": model.residency_class,
                    "refusal": model.refusal,
                    "canary": None if model.canary is None else {"percent": model.canary.percent},
                    "shadow": model.shadow,
                    "sites": rows[model.key],
                }
                for model in plan.models
            },
            "load": {"rate_per_s": control.load.rate_per_s, "tail_s": dict(control.load.tail_s)},
            "overrides": dict(control.memory.overrides),
            "excluded": dict(plan.excluded),
            "refused": {f"{model} at {site}": reason for (model, site), reason in plan.refused.items()},
            "doubted": plan.doubted,
            "warnings": plan.warnings,
        }

    async def history(self) -> bytes:
        """Return the history as JSON, made beside the event loop: it may hold hundreds of thousands of numbers."""
        value = self._knowledge.history.to_value(time.monotonic())
        return await asyncio.to_thread(lambda: json.dumps(value, separators=(",", ":")).encode())

    async def metrics(self) -> str:
        """Return the page for Prometheus: the router's own metrics, then Envoy's."""
        control = self._control
        clusters, certificates, own = None, {}, ""
        try:
            clusters = await self._envoy("/clusters?format=json")
            certificates = expiries(await self._envoy("/certs"))
            _, data = await asyncio.to_thread(control.process.admin.call, "GET", "/stats/prometheus?usedonly")
            own = data.decode()
        except EnvoyError:
            clusters = None  # told by trihull_router_envoy_up 0
        facts = Facts(
            plan=control.plan,
            models=model_status(control.plan, clusters, control.health, self._knowledge.prober.latency_s),
            health=control.health,
            config_version=control.memory.config_version,
            refused_total=control.refused_total,
            refused_now=control.refusal is not None,
            restarts=control.process.restarts,
            envoy_up=clusters is not None,
            failovers=control.failovers,
            findings=self._knowledge.watcher.findings,
            latency_s=self._knowledge.prober.latency_s,
            shadows=self._knowledge.shadowing.counts,
            truncated=self._knowledge.watcher.truncated,
            certificates=certificates,
        )
        return render_metrics(facts) + own

    async def _envoy(self, page: str) -> Any:
        return await asyncio.to_thread(self._control.process.admin.json, page)


def expiries(page: dict[str, Any]) -> dict[str, float]:
    """Return when certificates end (Unix time in seconds), by the first name in each; from Envoy's `/certs`."""
    found: dict[str, float] = {}
    for entry in page.get("certificates", []):
        for kind in ("cert_chain", "ca_cert"):
            for each in entry.get(kind, []):
                names = [next(iter(name.values())) for name in each.get("subject_alt_names", [])]
                which = f"{kind.replace('_', ' ')} {names[0] if names else each.get('serial_number', '?')}"
                text = str(each.get("expiration_time", ""))
                try:
                    end = datetime.datetime.fromisoformat(text).timestamp()
                except ValueError:
                    continue
                found[which] = min(end, found.get(which, end))
    return found
