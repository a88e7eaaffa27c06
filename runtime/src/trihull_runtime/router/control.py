"""The control loop: fleet in, Envoy's files out. Nothing here is in the path of a request."""

import asyncio
import collections
import dataclasses
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from trihull_runtime.contract import Clients, ContractError, Fleet, SiteState
from trihull_runtime.errors import TrihullError
from trihull_runtime.router import addresses as names
from trihull_runtime.router.admitted import AdmittedClients
from trihull_runtime.router.applying import Applying
from trihull_runtime.router.envoy import Configuration, Ingress, render
from trihull_runtime.router.errors import EnvoyError, RouterError
from trihull_runtime.router.events import Events
from trihull_runtime.router.files import look
from trihull_runtime.router.health import Load, SiteHealth
from trihull_runtime.router.plan import TrafficPlan
from trihull_runtime.router.plan_changes import failovers, summary
from trihull_runtime.router.planning import make_plan
from trihull_runtime.router.process import EnvoyProcess
from trihull_runtime.router.settings import Settings
from trihull_runtime.router.state import Memory, StateFolder


@dataclass(frozen=True)
class Refusal:
    """A fleet that was not taken, why, and where it came from."""

    source: str
    reason: str
    at_unix_s: float


@dataclass(frozen=True)
class _Wanted:
    """A fleet that shall be in force, where it came from, and the digest of the fleet file at that time."""

    fleet: Fleet
    source: str
    file_digest: str


class Control:
    """Holds what is in force and changes it, one change at a time.

    Args:
        settings: the router's settings.
        state: its folder, held by us.
        process: its Envoy.
        events: where decisions are told.
    """

    def __init__(self, settings: Settings, state: StateFolder, process: EnvoyProcess, events: Events) -> None:
        self.settings = settings
        self.events = events
        self.process = process
        self.refusal: Refusal | None = None
        self.refused_total = 0
        self.health: Mapping[str, SiteHealth] = {}
        self.load = Load()
        self.failovers: collections.Counter[tuple[str, str, str, str]] = collections.Counter()
        self.clients: Clients | None = None
        self._state = state
        self._changing = asyncio.Lock()
        self._applying = Applying(process)
        self._fleet: Fleet | None = None
        self._plan: TrafficPlan | None = None
        self._wanted: _Wanted | None = None  # a valid document, refused for what may pass: a name that does not resolve
        self._resolved: Mapping[str, tuple[str, ...]] = {}
        self._seen: tuple[int, int, int] | None = None
        self._admitted = AdmittedClients(settings.clients, state)
        self._warned: tuple[str, ...] = ()
        self.memory, damaged = state.memory()
        if damaged is not None:
            self.events.emit("memory_damaged", f"{damaged}; put aside, orders to drain are lost", level="error")

    @property
    def fleet(self) -> Fleet:
        """The fleet in force."""
        assert self._fleet is not None, "boot comes first"
        return self._fleet

    @property
    def plan(self) -> TrafficPlan:
        """The plan in force."""
        assert self._plan is not None, "boot comes first"
        return self._plan

    async def boot(self) -> Configuration:
        """Decide what to start with and write Envoy's files: the fleet file, else the last good fleet.

        Raises:
            TrihullError: neither can be used; the message says why not, for both.
        """
        self.clients, damaged = self._admitted.boot()
        if damaged is not None:
            self._refuse("clients", damaged)
        self._seen = look(self.settings.fleet)
        data, problem = self._read()
        digest = _digest(data)
        by_admin = self.memory.fleet_source == "admin" and self.memory.file_digest == digest
        if data is not None and not by_admin:
            try:
                self._wanted = _Wanted(Fleet.parse(data, str(self.settings.fleet)), "file", digest)
                configuration = await self._take(self._wanted)
            except (ContractError, RouterError, EnvoyError) as error:
                problem = error
            else:
                self._wanted = None
                return configuration
        try:
            last = self._state.last_good()
        except ContractError as error:
            raise RouterError(f"{problem or 'no fleet'}; and the last good fleet is damaged: {error}") from error
        if last is None:
            if problem is None:
                problem = RouterError(f"the fleet in force came by the admin API and {self._state.fleet_path} is gone")
            raise problem
        if not by_admin and problem is not None:
            self._refuse("file", problem)
            self.events.emit("last_good", f"starting with the last good fleet, because {problem}", level="warning")
        return await self._take(_Wanted(last, self.memory.fleet_source, self.memory.file_digest))

    async def look_at_file(self) -> None:
        """Take the fleet file if it changed since the last look (a rename, a write, a swapped symlink)."""
        seen = look(self.settings.fleet)
        if seen == self._seen:
            return
        self._seen = seen
        data, problem = self._read()
        if data is None:
            assert problem is not None, "what cannot be read has a reason"
            self._refuse("file", problem)
            return
        if _digest(data) == self.memory.file_digest:
            self._wanted = None
            if self.refusal is not None:
                self.refusal = None
                self.events.emit("fleet_restored", "the fleet file is again the one that was decided on")
            return
        try:
            fleet = Fleet.parse(data, str(self.settings.fleet))
        except ContractError as error:
            self._refuse("file", error)
            return
        try:
            await self._change(_Wanted(fleet, "file", _digest(data)))
        except OSError:  # a full disk is no reason to forget the file: the next look tries again
            self._seen = None
            raise

    async def put(self, fleet: Fleet) -> None:
        """Take a fleet by order; raises TrihullError with the reason when it cannot be, and what runs stays."""
        await self._change(_Wanted(fleet, "admin", _digest(self._read()[0])), raising=True)

    async def override(self, site: str, state: SiteState | None) -> None:
        """Give an operator's order for one site, or take it back.

        Raises:
            RouterError: no such site, the fleet itself says otherwise, or no site would be left.
        """
        async with self._changing:
            found = [entry for entry in self.fleet.sites if entry.name == site]
            if not found:
                known = ", ".join(entry.name for entry in self.fleet.sites)
                raise RouterError(f"the fleet has no site {site!r}; it has {known}")
            if state is None and site not in self.memory.overrides and found[0].state is not SiteState.ACTIVE:
                raise RouterError(f"the fleet itself says that {site!r} is {found[0].state}; change it there")
            overrides = {name: value for name, value in self.memory.overrides.items() if name != site}
            if state is not None:
                overrides[site] = state
            memory = replace(self.memory, overrides=overrides)
            await self._apply(self.fleet, memory)
            self.events.emit("operator", f"site {site} is {state or 'no longer overridden'} by order", site=site)

    async def replan(self, health: Mapping[str, SiteHealth], load: Load) -> None:
        """Plan anew with what is known of the sites now.

        Raises:
            EnvoyError, OSError: Envoy does not take it, or the disk; what ran before runs on.
        """
        if health == self.health and load == self.load:
            return
        async with self._changing:
            known = self.health, self.load
            self.health, self.load = health, load
            try:
                if self._planned(self.fleet, self.memory) != self.plan:
                    await self._apply(self.fleet, self.memory)
            except BaseException:
                self.health, self.load = known  # so that the next look tries again
                raise

    async def look_at_clients(self) -> None:
        """Take the clients' file if it changed since the last look; one that cannot be used is refused."""
        if not self._admitted.changed():
            return
        async with self._changing:
            before = self.clients
            try:
                self.clients = self._admitted.read()
                await self._apply(self.fleet, self.memory)
            except (ContractError, RouterError, EnvoyError) as error:
                self.clients = before
                self._refuse("clients", error)
                return
            self._admitted.keep(self.clients)
            self.events.emit("clients_applied", f"{len(self.clients.clients)} clients may send requests now")
            if self.refusal is not None and self.refusal.source == "clients":
                self.refusal = None

    async def resolve_again(self) -> None:
        """Look up the sites' names; addresses that changed are taken, also for a fleet that waited for one."""
        async with self._changing:
            memory = self.memory
            wanted = self._wanted or _Wanted(self.fleet, memory.fleet_source, memory.file_digest)
            found = await names.resolve(names.hosts(wanted.fleet), memory.addresses)
            if found != self._resolved:
                await self._take_or_refuse(wanted)

    async def _change(self, wanted: "_Wanted", raising: bool = False) -> None:
        """Take a fleet, or refuse it and stay with what runs."""
        async with self._changing:
            error = await self._take_or_refuse(wanted)
        if raising and error is not None:
            raise error

    async def _take_or_refuse(self, wanted: "_Wanted") -> TrihullError | None:
        known = self._fleet
        try:
            await self._take(wanted)
        except (RouterError, EnvoyError) as error:
            if wanted.source == "file":
                self._wanted = wanted  # it may become good when a name resolves
            self._refuse(wanted.source, error)
            return error
        if wanted.fleet is not known:  # the same fleet at new addresses heals no refusal of another
            self._wanted = self.refusal = None
        return None

    async def _take(self, wanted: "_Wanted") -> Configuration:
        found = await names.resolve(names.hosts(wanted.fleet), self.memory.addresses)
        self._resolved = found
        memory = replace(self.memory, addresses=found, fleet_source=wanted.source, file_digest=wanted.file_digest)
        return await self._apply(wanted.fleet, memory)

    async def _apply(self, fleet: Fleet, memory: Memory) -> Configuration:
        """Plan, render, validate, write, see it applied, remember. Raises before anything was changed, or undoes it."""
        settings = self.settings
        plan = self._planned(fleet, memory)
        ingress = Ingress(settings.host, settings.port, settings.access_log, self.clients)
        configuration = render(plan, self.process.layout, ingress, settings.timings)
        version = max(self.memory.config_version, self._applying.latest) + 1
        begun = self._plan is not None
        try:
            changed = await self._applying.apply(configuration, version)
        except (EnvoyError, OSError):
            self.memory = replace(self.memory, config_version=max(self.memory.config_version, self._applying.latest))
            raise
        memory = replace(memory, config_version=version if changed else self.memory.config_version)
        if fleet != self._fleet:
            fleet.write(self._state.fleet_path)
        if memory != self.memory or not self._state.memory_path.exists():
            memory.write(self._state.memory_path)
        before = self._plan
        self.memory, self._fleet, self._plan = memory, fleet, plan
        for warning in plan.warnings:
            if warning not in self._warned:
                self.events.emit("plan_warning", warning, level="warning")
        self._warned = plan.warnings
        if before is not None:
            self._tell_failovers(before, plan)
        if changed and begun:
            self._tell(plan)
        return configuration

    def _planned(self, fleet: Fleet, memory: Memory) -> TrafficPlan:
        settings = self.settings
        return make_plan(
            fleet, settings.policy, memory.addresses, settings.site, memory.overrides, self.health, self.load
        )

    def _tell_failovers(self, before: TrafficPlan, plan: TrafficPlan) -> None:
        for each in failovers(before, plan, self.health):
            self.failovers[each.model, each.residency_class or "", each.origin, each.target] += 1
            self.events.emit("failover", each.message, level="warning", **dataclasses.asdict(each))

    def _tell(self, plan: TrafficPlan) -> None:
        self.events.emit(
            "config_applied",
            f"configuration {self.memory.config_version} is in force; {summary(plan)}",
            version=self.memory.config_version,
            source=self.memory.fleet_source,
            excluded=dict(plan.excluded),
        )

    def _refuse(self, source: str, error: TrihullError) -> None:
        self.refusal = Refusal(source, str(error), time.time())
        self.refused_total += 1
        self.events.emit("config_refused", f"what runs stays: {error}", level="error", source=source)

    def _read(self) -> tuple[bytes | None, TrihullError | None]:
        try:
            return self.settings.fleet.read_bytes(), None
        except OSError as error:
            reason = error.strerror or str(error)
            return None, RouterError(f"the fleet {self.settings.fleet} cannot be read: {reason}")

    async def confirm(self) -> None:
        """Wait until Envoy has everything that was written. Raises EnvoyError when it refuses or needs too long."""
        await self._applying.confirm()
        self._tell(self.plan)


def _digest(data: bytes | None) -> str:
    return "" if data is None else f"sha256:{hashlib.sha256(data).hexdigest()}"
