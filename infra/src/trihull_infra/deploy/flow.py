"""The order of a deploy, and the documents that join its parts.

A cloud that fails is left where it is and the others go on; it keeps its place in the fleet, for a dead control plane
says nothing about the data plane. Running the same command again completes what is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from trihull_infra import fleet as fleets
from trihull_infra import known_answers
from trihull_infra.cloud import Cloud
from trihull_infra.deploy import children, pages, publishing, readiness, releasing
from trihull_infra.deploy.context import Context, write_if_changed
from trihull_infra.deploy.operations import Operations
from trihull_infra.deploy.progress import Display
from trihull_infra.deploy.report import Report, Step
from trihull_infra.deploy.stacks import Action, Project, Result, Task
from trihull_infra.deploy.stopping import Stop
from trihull_infra.errors import SpecError
from trihull_runtime.contract import ContractError, EnvironmentReleases, ServingOutputs, SiteOutputs
from trihull_runtime.contract.codec import Document

D = TypeVar("D", bound=Document)


class Flow:
    """One command on one environment: runs stacks side by side and remembers what came of it."""

    def __init__(
        self,
        context: Context,
        clouds: Sequence[Cloud],
        display: Display,
        action: str,
        operations: Operations = children.run,
    ) -> None:
        """Prepare a command on `clouds`, which are of the context's environment; `operations` runs its stacks."""
        self.context, self.clouds, self.display = context, tuple(clouds), display
        self.operations = operations
        self.stop = Stop()
        self.report = Report(context.environment.name, action)

    def up(self, publish: bool) -> Report:
        """Bring sites, serving and routing up, with what stands in the releases document.

        Args:
            publish: copy images to the sites' registries; False when they are there already.

        Raises:
            SpecError, ContractError: a document is missing or wrong; nothing was changed.
        """
        releases = self._releases()
        with self.stop.listening(self.display):
            sites = self._outputs(self._run(Project.SITE, Action.UP, self.clouds), SiteOutputs)
            self._fleet(releases, sites, {})
            if publish:
                self._publish(releases, sites)
            ready = [cloud for cloud in sites if self.report.ok(cloud)]
            servings = self._outputs(self._run(Project.SERVING, Action.UP, ready), ServingOutputs)
            self._fleet(releases, sites, servings)
            ready = [cloud for cloud in sites if not self._failed(cloud, Project.SITE, "publish")]
            routings = self._routing(ready)
            if self._converged(releases, servings, routings):
                narrow = releasing.narrowed(releases)
                if write_if_changed(narrow, self.context.documents.releases):
                    self.display.note("every site serves its release: older ones are no longer accepted")
                    self._fleet(narrow, sites, servings)
                    routings = self._routing(ready)
            self._ready(routings)
            self._find_pages()
            self._dns(Action.UP)
        return self._done()

    def preview(self) -> Report:
        """Say what `up` would change; a stack that needs a site which is not there yet is named instead."""
        with self.stop.listening(self.display):
            known = self._known(Project.SITE, SiteOutputs)
            # A stack that cannot even be read (no login, no network) would fail of the same again.
            unread = {step.cloud for step in self.report.failed if step.project == Project.SITE}
            clouds = [cloud for cloud in self.clouds if cloud not in unread]
            self._run(Project.SITE, Action.PREVIEW, clouds)
            missing = [
                path.name
                for path in (self.context.documents.releases, self.context.documents.fleet)
                if not path.exists()
            ]
            for cloud in clouds:
                if cloud not in known:
                    why = f"its site {self.context.stack(cloud)} is not deployed yet"
                elif missing:
                    why = f"{' and '.join(missing)} are not there (see `trihull release` and `trihull fleet`)"
                else:
                    continue
                self.display.note(f"{cloud} serving and routing are not previewed: {why}")
            if not missing:
                there = [cloud for cloud in self.clouds if cloud in known]
                self._run(Project.SERVING, Action.PREVIEW, there)
                self._run(Project.ROUTING, Action.PREVIEW, there if self._endpoints() else [])
            if unread.isdisjoint(self._hosts()):
                self._dns(Action.PREVIEW)
        return self._done()

    def refresh(self, clear_pending: bool) -> Report:
        """Read the clouds and put what they say into the state of every stack that exists."""
        with self.stop.listening(self.display):
            for project in Project:
                clouds = self._hosts() if project.whole else self.clouds
                self._run(project, Action.REFRESH, clouds, clear_pending=clear_pending)
        return self._done()

    def destroy(self, remove: bool) -> Report:
        """Take the name, routing, serving and sites down, in that order; what failed keeps what is below it.

        The name stays while routers of other clouds are left: it is brought up without those that go. It keeps nothing
        below it when that fails: its health checks see which routers are gone.
        """
        documents = self.context.documents
        with self.stop.listening(self.display):
            self._leave_dns(remove)
            for project in reversed(Project):
                if project.whole:
                    continue
                clouds = [cloud for cloud in self.clouds if self.report.ok(cloud)]
                self._run(project, Action.DESTROY, clouds, remove=remove)
        gone = {cloud.value for cloud in self.clouds if self.report.ok(cloud)}
        previous = documents.read_fleet()
        left = {cloud: url for cloud, url in documents.read_routers().items() if cloud not in gone}
        if self.stop.signal is not None:
            return self._done()
        if gone == set(self.context.environment.clouds) and self.context.emulated:
            documents.fleet.unlink(missing_ok=True)
            documents.routers.unlink(missing_ok=True)
        elif gone:
            if previous is not None:
                self.report.fleet = fleets.without(previous, gone)
                write_if_changed(self.report.fleet, documents.fleet)
            documents.write_routers(left)
            self.report.routers = left
        return self._done()

    def fleet(self) -> Report:
        """Write the fleet anew from what the stacks gave last time."""
        releases = self._releases(images=False)
        with self.stop.listening(self.display):
            self._fleet(releases, self._known(Project.SITE, SiteOutputs), self._known(Project.SERVING, ServingOutputs))
            routers = self._run(Project.ROUTING, Action.OUTPUTS, self.clouds)
            found = {cloud.value: url for cloud, result in routers.items() if (url := _router_url(result)) is not None}
        self.report.routers = {**self.context.documents.read_routers(), **found}
        if self.stop.signal is None and found:
            self.context.documents.write_routers(self.report.routers)
        self._find_pages()
        return self._done()

    def sites(self, show_secrets: bool = False) -> dict[Cloud, SiteOutputs]:
        """Return what the sites' stacks gave last time, secrets masked unless they are asked for.

        Those that are not there are left out.
        """
        with self.stop.listening(self.display):
            results = self._run(Project.SITE, Action.OUTPUTS, self.clouds, show_secrets=show_secrets)
            return self._outputs(results, SiteOutputs)

    def _releases(self, images: bool = True) -> EnvironmentReleases:
        """Read the releases document and refuse one that cannot be brought up."""
        documents = self.context.documents
        releases = documents.read_releases()
        if images:
            for cloud in self.clouds:
                if not any(cloud.value in sites for sites in releases.models.values()):
                    raise SpecError(f"{documents.releases} has no release for {cloud}: run `trihull release` again")
                for image in publishing.images(self.context.environment, releases, cloud, documents.folder):
                    if not (image.layout / "index.json").is_file():
                        raise SpecError(f"{documents.releases}: {image.what}: there is no OCI layout at {image.layout}")
            if releases.router is None:
                advice = f"run `trihull release {releases.environment} --router ROUTER_DIR`"
                raise SpecError(f"{documents.releases} names no router: {advice}")
        return releases

    def _run(
        self,
        project: Project,
        action: Action,
        clouds: Sequence[Cloud],
        *,
        clear_pending: bool = False,
        remove: bool = False,
        show_secrets: bool = False,
    ) -> dict[Cloud, Result]:
        """Run one project's stacks side by side."""
        tasks: list[Task] = [
            self.context.task(
                project, cloud, action, clear_pending=clear_pending, remove=remove, show_secrets=show_secrets
            )
            for cloud in clouds
        ]
        results = dict(zip(clouds, self.operations(tasks, self.display, self.stop), strict=True)) if tasks else {}
        for cloud, result in results.items():
            if result.ok and action is Action.UP:
                self.context.remember(project, cloud)
            if action is not Action.OUTPUTS or not result.ok:
                self.report.steps.append(Step(None if project.whole else cloud, project.value, result))
        return results

    def _known(self, project: Project, document: type[D]) -> dict[Cloud, D]:
        return self._outputs(self._run(project, Action.OUTPUTS, self.clouds), document)

    def _outputs(self, results: Mapping[Cloud, Result], document: type[D]) -> dict[Cloud, D]:
        """Read what stacks gave; one that is not what the contract asks for counts as failed."""
        found: dict[Cloud, D] = {}
        for cloud, result in results.items():
            if not result.ok or not result.outputs:
                continue
            try:
                found[cloud] = document.from_value(dict(result.outputs), f"outputs of {result.title}")
            except ContractError as error:
                self._note(cloud, "outputs", str(error))
        return found

    def _note(self, cloud: Cloud, step: str, problem: str = "", seconds: float = 0.0) -> None:
        self.report.steps.append(Step(cloud, step, Result(f"{cloud} {step}", seconds, problem=problem)))

    def _failed(self, cloud: Cloud, *steps: str) -> bool:
        return any(
            not step.result.ok and step.project in (*steps, "outputs")
            for step in self.report.steps
            if step.cloud is cloud
        )

    def _fleet(
        self,
        releases: EnvironmentReleases,
        sites: Mapping[Cloud, SiteOutputs],
        servings: Mapping[Cloud, ServingOutputs],
    ) -> None:
        previous = self.context.documents.read_fleet()
        answers = known_answers.of_releases(releases, self.context.documents.folder)
        self.report.fleet = fleets.assemble(self.context.environment, releases, sites, servings, previous, answers)
        if self.stop.signal is None:
            write_if_changed(self.report.fleet, self.context.documents.fleet)

    def _publish(self, releases: EnvironmentReleases, sites: Mapping[Cloud, SiteOutputs]) -> None:
        environment, folder = self.context.environment, self.context.documents.folder
        wanted = {cloud: list(publishing.images(environment, releases, cloud, folder)) for cloud in sites}
        registries = {cloud: site.registry for cloud, site in sites.items()}
        going_on: Callable[[], bool] = lambda: self.stop.signal is None  # noqa: E731 - a name for the argument
        for cloud, outcome in publishing.publish(wanted, registries, self.display.note, going_on).items():
            self._note(cloud, "publish", outcome.problem, outcome.seconds)
            sent = f"images are in {outcome.registry}, {outcome.copied.sent_bytes / 1e6:.1f} MB sent"
            state = f"FAILED: {outcome.problem}" if outcome.problem else f"{sent}, {outcome.seconds:.1f} s"
            self.display.note(f"[{cloud} publish] {state}")

    def _endpoints(self) -> bool:
        fleet = self.report.fleet or self.context.documents.read_fleet()
        return fleet is not None and any(site.endpoint is not None for site in fleet.sites)

    def _routing(self, clouds: Sequence[Cloud]) -> dict[Cloud, str]:
        """Bring routing up and write where the routers answer; returns the addresses."""
        if not self._endpoints():
            self.display.note("no site serves yet, so there is nothing to route to")
            return {}
        results = self._run(Project.ROUTING, Action.UP, clouds)
        urls: dict[Cloud, str] = {}
        for cloud, result in results.items():
            url = _router_url(result)
            if url is not None:
                urls[cloud] = url
            elif result.ok:
                self._note(cloud, "outputs", f"the outputs of {result.title} hold no endpoint.url")
        found = {cloud.value: url for cloud, url in urls.items()}
        self.report.routers = {**self.context.documents.read_routers(), **found}
        if found:
            self.context.documents.write_routers(self.report.routers)
        return urls

    def _hosts(self) -> tuple[Cloud, ...]:
        """Return the cloud that hosts the environment's name; none when it has no name."""
        dns = self.context.environment.dns
        return () if dns is None else (dns.cloud,)

    def _dns(self, action: Action) -> None:
        """Bring the environment's name up, or preview it, over every router that is known: failed clouds' too."""
        hosts = self._hosts()
        if not hosts or self.stop.signal is not None:
            return
        routers = self.context.documents.read_routers()
        if any(cloud in routers for cloud in self.context.environment.clouds):
            self._run(Project.DNS, action, hosts)
        else:
            self.display.note("no router is known yet, so dns has nothing to lead to")

    def _leave_dns(self, remove: bool) -> None:
        """Take the routers of clouds that go out of the name before they go; the name itself when none is left."""
        documents, hosts = self.context.documents, self._hosts()
        routers = documents.read_routers()
        left = {cloud: url for cloud, url in routers.items() if cloud not in self.clouds}
        if not hosts:
            return
        if not any(cloud in left for cloud in self.context.environment.clouds):
            self._run(Project.DNS, Action.DESTROY, hosts, remove=remove)
        elif left != routers:
            documents.write_routers(left)
            self._run(Project.DNS, Action.UP, hosts)

    def _converged(
        self,
        releases: EnvironmentReleases,
        servings: Mapping[Cloud, ServingOutputs],
        routings: Mapping[Cloud, str],
    ) -> bool:
        """Tell whether every site of the environment, and not only those asked for, serves what it shall."""
        wanted = self.context.environment.clouds
        if self.report.failed or any(cloud not in servings or cloud not in routings for cloud in wanted):
            return False
        for model, sites in releases.models.items():
            for cloud in wanted:
                served = servings[cloud].models.get(model)
                chosen = sites.get(cloud.value)
                if chosen is not None and (served is None or served.release_digest != chosen.release_digest):
                    return False
        return True

    def _ready(self, routings: Mapping[Cloud, str]) -> None:
        """Wait until every router that was brought up accepts requests."""
        timeout_s = readiness.EMULATED_S if self.context.emulated else readiness.REAL_S
        waiting: Callable[[], bool] = lambda: self.stop.signal is None  # noqa: E731 - a name for the argument
        for cloud, outcome in readiness.wait(routings, timeout_s, waiting).items():
            self._note(cloud, "ready", outcome.problem, outcome.seconds)
            state = f"FAILED: {outcome.problem}" if outcome.problem else f"{routings[cloud]} accepts requests"
            self.display.note(f"[{cloud} router] {state}")

    def _find_pages(self) -> None:
        """Find where the live pages of the routers are."""
        routers = self.report.routers
        if not self.context.emulated:
            self.report.pages = pages.forwarded(routers)
        elif routers:
            from trihull_infra.emulators import client

            self.report.pages = pages.emulated(client.connect().sites(), routers)

    def _done(self) -> Report:
        self.report.stopped = None if self.stop.signal is None else int(self.stop.signal)
        return self.report


def _router_url(result: Result) -> str | None:
    endpoint = (result.outputs or {}).get("endpoint") if result.ok else None
    url = endpoint.get("url") if isinstance(endpoint, dict) else None
    return url.rstrip("/") if isinstance(url, str) else None
