"""All that is found out about sites while a router runs: Envoy's logs and counters, known answers, shadows."""

import asyncio
import collections
import contextlib
import time
from dataclasses import replace

from trihull_runtime.router.conditions import Conditions, Finding
from trihull_runtime.router.control import Control
from trihull_runtime.router.envoy.listeners import TIMED_KEY
from trihull_runtime.router.errors import EnvoyError
from trihull_runtime.router.events import Events
from trihull_runtime.router.health import Load, steady
from trihull_runtime.router.history import History
from trihull_runtime.router.measuring import COUNTERS, Sample, rate_per_s, sample_of, tails_s, timed_percent
from trihull_runtime.router.plan import ANY_MODEL, ModelPlan
from trihull_runtime.router.probing import Prober
from trihull_runtime.router.process import EnvoyProcess
from trihull_runtime.router.shadowing import Shadowing
from trihull_runtime.router.status import counters
from trihull_runtime.router.watching import Watcher

WATCH_S = 0.2  # how often Envoy's logs are read; it writes them four times a second
MEASURE_S = 2.0
WHILE_S = 30.0  # what rates and tails are taken over


class Knowledge:
    """Finds out, and has the control loop plan anew when that changes what is known of a site.

    Args:
        control: plans.
        process: the Envoy that is watched and asked through.
        events: is told in words.
    """

    def __init__(self, control: Control, process: EnvoyProcess, events: Events) -> None:
        timings, layout = control.settings.timings, process.layout
        self._control, self._process, self._events = control, process, events
        self._conditions = Conditions(timings)
        self.watcher = Watcher(layout, self._conditions, events, lambda: control.plan)
        self.prober = Prober(layout.probe_socket, timings, self._found)
        self.shadowing = Shadowing(
            layout.probe_socket, self._find_plan, self._told_difference, limit_s=timings.per_try_s * 2
        )
        self.history = History(time.monotonic())
        self._samples: collections.deque[Sample] = collections.deque(maxlen=int(WHILE_S / MEASURE_S))
        self._measured = Load()
        self._timed: int | None = None  # the percentage of attempts that Envoy was told to time
        self._known = asyncio.Event()  # something about a site is known that was not before

    async def begin(self) -> None:
        """Take over what the Envoy that runs knows; its logs are followed from here on."""
        clusters = await asyncio.to_thread(self._process.admin.json, "/clusters?format=json")
        self._samples.clear()
        self._timed = None
        self.watcher.begin_with(clusters, time.monotonic())

    async def watch(self) -> None:
        """Read what Envoy found out, and plan anew where that changes what is known of a site."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._known.wait(), WATCH_S)
        self._known.clear()
        if self.watcher.behind():  # most looks find nothing, and a thread for each would be half of what idling costs
            lines = await asyncio.to_thread(self.watcher.read)
            self.watcher.take(lines, time.monotonic())
        now = time.monotonic()
        self._conditions.forget(site.name for site in self._control.fleet.sites)
        await self._control.replan(self._conditions.health(now), self._load())

    def _load(self) -> Load:
        """The load to plan with: what is held, until what is measured leaves its window."""
        return steady(self._control.load, replace(self._measured, latency_s=dict(self.prober.latency_s)))

    async def measure(self) -> None:
        """Take what Envoy counted since the last time; raises EnvoyError when it does not answer."""
        page = await asyncio.to_thread(
            self._process.admin.json, f"/stats?format=json&histogram_buckets=cumulative&filter={COUNTERS}"
        )
        sample = sample_of(page, time.monotonic())
        timed = timed_percent(rate_per_s(self._samples[-1], sample)) if self._samples else 100
        self._samples.append(sample)
        first, last = self._samples[0], self._samples[-1]
        self._measured = Load(tail_s=tails_s(first, last), rate_per_s=rate_per_s(first, last))
        if timed != self._timed:
            await asyncio.to_thread(self._process.admin.order, TIMED_KEY, timed)
            self._timed = timed

    async def record(self) -> None:
        """Take a sample for the history; a silent Envoy leaves a gap, and `measure` reports it."""
        try:
            clusters = await asyncio.to_thread(self._process.admin.json, "/clusters?format=json")
        except EnvoyError:
            self.history.add(time.monotonic(), None)
            return
        self.history.add(time.monotonic(), counters(self._control.plan, clusters))

    async def probe(self) -> None:
        """Ask every site what it must know."""
        self.prober.begin(self._control.fleet, [site.name for site in self._control.plan.sites])

    def _found(self, finding: Finding) -> None:
        self.watcher.found(finding, time.monotonic())
        self._known.set()

    def _find_plan(self, model: str, residency_class: str | None) -> ModelPlan | None:
        """The plan of a copied request, whose class is the one that its client has (or the default)."""
        plan = self._control.plan
        wanted = residency_class or plan.routing.default_class
        return next(
            (each for each in plan.models if each.model in (model, ANY_MODEL) and each.residency_class == wanted), None
        )

    def _told_difference(self, model: str, site: str, problem: str) -> None:
        message = f"shadow {site} differs for model {model}: {problem}"
        self._events.emit("shadow_differs", message, level="warning", model=model, site=site)
