"""The provider for aws, gcp and azure-native: the recorder, what is remembered, and real handlers where there are."""

import json
import logging
import secrets
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trihull_infra.emulators import guards
from trihull_infra.emulators.plugins.diff import Difference
from trihull_infra.emulators.plugins.provider import Failure, Naming, RefusedError, Urn
from trihull_infra.emulators.plugins.values import has_unknowns, plain
from trihull_infra.emulators.recorder.answers import Place, Request
from trihull_infra.emulators.recorder.facts import facts, unversioned
from trihull_infra.emulators.recorder.identities import certificate_authority
from trihull_infra.emulators.recorder.recording import Recorder
from trihull_infra.emulators.store import Resource, now
from trihull_infra.errors import EmulatorError

if TYPE_CHECKING:
    from trihull_infra.emulators.world import World

LOG = logging.getLogger(__name__)
GUARDS = {"aws": guards.aws, "gcp": guards.gcp, "azure-native": guards.azure}
# Types that only add to something: making the same twice is no conflict.
ADDITIVE = ("IAMMember", "IamMember", "IAMBinding", "IamBinding", "projects/service:Service")


class Handler(Protocol):
    """Carries one type out for real. `outputs` are what the recorder computed; a handler changes what it must."""

    def create(self, region: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Make it; raises `RefusedError` with the service's own message."""

    def update(self, region: str, old: Mapping[str, Any], new: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Change it in place."""

    def delete(self, region: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """End it; one that is gone is no error."""

    def exists(self, region: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> bool:
        """Say whether it is there."""


class RecordedProvider:
    """One provider instance of a cloud package."""

    def __init__(self, package: str, world: "World") -> None:
        """Serve `package` over the state of `world`."""
        self.package = package
        self._world = world
        self._recorder = Recorder(package)
        self._configuration: dict[str, Any] = {}
        self._configured = False

    def check_config(self, urn: Urn, inputs: dict[str, Any]) -> list[Failure]:
        """Refuse, before anything is planned, a configuration that may mean a real account."""
        configuration = decoded(inputs)
        if has_unknowns(configuration):
            return []
        try:
            GUARDS[self.package](configuration)
        except guards.GuardError as error:
            return [Failure("", str(error))]
        return []

    def configure(self, arguments: dict[str, Any], urn: str) -> None:
        """Take the configuration; raises `GuardError` for anything but the emulated account."""
        configuration = decoded(arguments)
        GUARDS[self.package](configuration)
        self._configuration, self._configured = configuration, True

    def check(
        self, urn: Urn, old: dict[str, Any], new: dict[str, Any], naming: Naming
    ) -> tuple[dict[str, Any], list[Failure]]:
        """Name and check the inputs; a name made up before is kept."""
        return self._recorder.check(urn, old, new, naming)

    def diff(
        self, urn: Urn, resource_id: str, old: dict[str, Any], state: dict[str, Any], new: dict[str, Any]
    ) -> Difference:
        """Compare inputs with inputs, never with computed outputs."""
        return self._recorder.difference(urn.type, old, new)

    def create(self, urn: Urn, inputs: dict[str, Any], preview: bool, timeout_s: float) -> tuple[str, dict[str, Any]]:
        """Make the resource and remember it; one of the same id is refused as its cloud refuses it."""
        if preview:
            return "", self._recorder.foresee(urn.type, inputs)
        self._require_configured(urn)
        self._world.delay("create")
        token = unversioned(urn.type)
        seed, created = secrets.token_hex(16), now()
        answer = self._recorder.answer(self._request(urn, inputs, seed, created))
        with self._world.holding(self.package, token, answer.id):
            known = self._world.store.get(self.package, token, answer.id)
            if known is not None and not token.endswith(ADDITIVE):
                raise RefusedError(f"{token} {answer.id!r} already exists (made as {known.urn})")
            if handler := self._world.handler(token):
                handler.create(self._region(inputs), inputs, answer.outputs)
            resource = Resource(
                self.package, token, answer.id, urn.text, seed, created, plain(inputs), plain(answer.outputs)
            )
            self._world.store.put(resource)
            self._opened(resource)
        return answer.id, self._recorder.mark(urn.type, answer.outputs)

    def _opened(self, resource: Resource) -> None:
        if resource.type in self._recorder.cloud.CLUSTERS:
            self._world.sites.open(resource)
        if folder := registry_folder(resource, self._recorder.cloud.REGISTRIES):
            folder.mkdir(parents=True, exist_ok=True)

    def read(
        self, urn: Urn, resource_id: str, inputs: dict[str, Any], state: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return what is remembered; nothing when it is gone, also when it is gone from the service behind it."""
        token = unversioned(urn.type)
        known = self._world.store.get(self.package, token, resource_id)
        if known is None:
            return "", {}, {}
        handler = self._world.handler(token)
        if handler and not handler.exists(self._region(known.inputs), known.inputs, known.outputs):
            self._world.store.remove(self.package, token, resource_id)
            return "", {}, {}
        return known.id, dict(known.inputs), self._recorder.mark(urn.type, known.outputs)

    def update(
        self,
        urn: Urn,
        resource_id: str,
        old: dict[str, Any],
        state: dict[str, Any],
        new: dict[str, Any],
        preview: bool,
        timeout_s: float,
    ) -> dict[str, Any]:
        """Change what is remembered; ids, times and endpoints stay as they are."""
        if preview:
            return self._recorder.foresee(urn.type, new, state)
        self._require_configured(urn)
        self._world.delay("update")
        token = unversioned(urn.type)
        with self._world.holding(self.package, token, resource_id):
            known = self._world.store.get(self.package, token, resource_id)
            if known is None:
                raise RefusedError(f"{token} {resource_id!r} was not found; run `pulumi refresh`")
            answer = self._recorder.answer(self._request(urn, new, known.seed, known.created))
            if handler := self._world.handler(token):
                handler.update(self._region(new), known.inputs, new, answer.outputs)
            self._world.store.put(
                Resource(
                    self.package,
                    token,
                    resource_id,
                    urn.text,
                    known.seed,
                    known.created,
                    plain(new),
                    plain(answer.outputs),
                )
            )
        return self._recorder.mark(urn.type, answer.outputs)

    def delete(
        self, urn: Urn, resource_id: str, inputs: dict[str, Any], state: dict[str, Any], timeout_s: float
    ) -> None:
        """End the resource, and what stands behind it: a cluster's processes, a registry's folder."""
        self._require_configured(urn)
        self._world.delay("delete")
        token = unversioned(urn.type)
        with self._world.holding(self.package, token, resource_id):
            known = self._world.store.get(self.package, token, resource_id)
            if known is None:
                return
            folder = registry_folder(known, self._recorder.cloud.REGISTRIES)
            if folder and self.package == "aws" and not known.inputs.get("forceDelete") and _images(folder):
                raise RefusedError(
                    f"ECR Repository ({known.id}) is not empty: it holds {_images(folder)} image(s); set forceDelete"
                )
            if handler := self._world.handler(token):
                handler.delete(self._region(known.inputs), known.inputs, known.outputs)
            if token in self._recorder.cloud.CLUSTERS:
                self._world.sites.close(known)
            if folder:
                shutil.rmtree(folder, ignore_errors=False) if folder.is_dir() else None
            self._world.store.remove(self.package, token, resource_id)

    def invoke(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answer the functions that programs need."""
        if not self._configured:
            raise RefusedError(f"{function} was called before the provider was configured")
        place = self._place()

        def find(kind: str, resource_id: str) -> dict[str, Any] | None:
            known = self._world.store.get(self.package, kind, resource_id)
            if known is None:
                return None
            return {**known.outputs, "__certificate": certificate_authority(known.id, known.seed)}

        result: dict[str, Any] = self._recorder.cloud.invoke(function, arguments, place, find)
        return {key: value for key, value in result.items() if not key.startswith("__")}

    def _require_configured(self, urn: Urn) -> None:
        if not self._configured:
            raise RefusedError(f"{urn.type} {urn.name!r}: the provider was not configured")

    def _region(self, inputs: Mapping[str, Any]) -> str:
        return str(inputs.get("region") or self._recorder.cloud.region(self._configuration))

    def _place(self) -> Place:
        cloud = self._recorder.cloud
        return Place(cloud.SITE, cloud.region(self._configuration), self._world.home.registries, self._configuration)

    def _request(self, urn: Urn, inputs: Mapping[str, Any], seed: str, created: str) -> Request:
        return Request(facts(urn.type), urn.name, inputs, seed, created, self._place())


def registry_folder(resource: Resource, registries: tuple[str, ...]) -> Path | None:
    """Return the OCI layout behind a registry resource; None for any other."""
    if resource.type not in registries:
        return None
    for name in ("repositoryUrl", "registryUri", "loginServer"):
        if url := resource.outputs.get(name):
            return Path(str(url).removeprefix("oci-layout://"))
    raise EmulatorError(f"{resource.id} has no address")


def _images(folder: Path) -> int:
    index = folder / "index.json"
    return len(json.loads(index.read_text(encoding="utf-8"))["manifests"]) if index.is_file() else 0


def region_of(resource: Resource) -> str:
    """Return the region an AWS resource was made in."""
    return str(resource.outputs.get("region") or resource.inputs.get("region") or "us-east-1")


def decoded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a provider's configuration: SDKs send everything but strings as JSON text."""
    return {key: _decoded(value) for key, value in arguments.items()}


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and ((value[:1] in "[{" and value) or value in ("true", "false")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


class Locks:
    """One lock per resource, so that two stacks cannot make the same thing at the same moment; others do not wait."""

    def __init__(self) -> None:
        """Start with none."""
        self._guard = threading.Lock()
        self._locks: dict[tuple[str, str, str], threading.RLock] = {}

    def of(self, package: str, token: str, resource_id: str) -> threading.RLock:
        """Return the lock of one resource."""
        with self._guard:
            return self._locks.setdefault((package, token, resource_id), threading.RLock())
