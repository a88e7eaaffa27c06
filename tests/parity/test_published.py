"""What serving and routing register is held against what Kubernetes itself publishes: its schemas, and its judge.

The schemas are those of the package kubernetes-validate, strict: an unknown field is a mistake. The judge is the
evaluator of the admission controller that enforces the Pod Security Standards, in a small program of
`tests/toolchain/podsecurity`.
"""

import copy
import functools
import json
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.parity import mocks
from tests.parity.conftest import ENVIRONMENTS, EXTERNAL, PROGRAMS, Run
from tests.toolchain import podsecurity
from trihull_infra import environment, naming
from trihull_infra.cloud import Cloud

TABLE = Path(environment.__file__).parent / "data" / "kubernetes.toml"

MINORS = ("1.33", "1.34", "1.35", "1.36")  # that environments ask for today; none must fall out of the table unseen

# The judge is built by the first who asks, where nobody did before: minutes on a machine that is busy.
pytestmark = pytest.mark.timeout(600)

Object = dict[str, Any]
PLUGIN = ("DaemonSet", naming.ACCELERATORS, naming.DEVICE_PLUGIN)
Judge = Callable[[str, Sequence[Object]], list[list[str]]]


def supported() -> tuple[str, ...]:
    """The Kubernetes versions that some cloud still supports, as far as the package has their schemas."""
    table = tomllib.loads(TABLE.read_text())
    dates = {
        minor: [day for cloud in clouds.values() for day in cloud.values()]
        for minor, clouds in table["versions"].items()
    }
    last = kubernetes_validate.latest_version()
    return tuple(minor for minor, days in sorted(dates.items()) if max(days) >= table["date"] and minor <= last)


@pytest.fixture(scope="module", autouse=True)
def schemas_read_once() -> Iterator[None]:
    """The package reads its large schemas anew for each object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            kubernetes_validate.utils, "schema_contents", functools.cache(kubernetes_validate.utils.schema_contents)
        )
        yield


@pytest.fixture(params=["serving", "routing"])
def objects(request: pytest.FixtureRequest, run: Run, name: str, cloud: Cloud) -> list[Object]:
    """Every Kubernetes object of a program."""
    found = run(request.param, f"{name}-{cloud}").resources
    return [mocks.opened(one.inputs) for one in found if one.type.startswith("kubernetes:")]


def of(objects: Sequence[Object], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


@pytest.fixture(params=supported())
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_versions_that_environments_ask_for_are_among_those_checked() -> None:
    assert set(MINORS) <= set(supported())


def test_every_object_is_what_the_published_schema_of_each_version_asks_for(
    objects: list[Object], version: str
) -> None:
    assert {"Deployment", "NetworkPolicy", "PodDisruptionBudget"} <= {one["kind"] for one in objects}
    for one in objects:
        assert kubernetes_validate.validate(one, version, strict=True) == version


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replica"), 2),  # a field that is not there
        (("spec", "replicas"), "2"),  # of another type
        (("spec", "strategy", "type"), ["Recreate"]),
        (("spec", "template", "spec", "containers", 0, "name"), None),  # required
    ],
)
def test_the_schema_bites(run: Run, version: str, path: tuple[str | int, ...], value: object) -> None:
    (deployment,) = of(
        [
            mocks.opened(one.inputs)
            for one in run("routing", "local-aws").resources
            if one.custom and "kind" in one.inputs
        ],
        "Deployment",
    )
    changed: Any = copy.deepcopy(deployment)
    *before, last = path
    place = changed
    for step in before:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(changed, version, strict=True)


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Ask the judge about many pods at a time."""
    program = podsecurity.program()

    def ask(level: str, templates: Sequence[Object]) -> list[list[str]]:
        questions = [
            {"level": level, "version": f"v{minor}", "metadata": one.get("metadata", {}), "spec": one["spec"]}
            for one in templates
            for minor in supported()
        ]
        done = subprocess.run(
            [program], input=json.dumps(questions), capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        answers: list[list[str]] = json.loads(done.stdout)
        assert len(answers) == len(questions)
        return answers

    return ask


@pytest.fixture(params=[*ENVIRONMENTS, EXTERNAL])
def stack(request: pytest.FixtureRequest, cloud: Cloud) -> str:
    return f"{request.param}-{cloud}"


@pytest.fixture
def everything(run: Run, stack: str) -> list[Object]:
    """Every Kubernetes object of every program of a site."""
    made = [one for project in PROGRAMS for one in run(project, stack).resources]
    return [mocks.opened(one.inputs) for one in made if one.type.startswith("kubernetes:")]


@pytest.fixture
def plugin(everything: list[Object], stack: str, projects: Path) -> list[Object]:
    """The DaemonSet of the device plugin, where the site names an image of it and it is ours to run; else nothing."""
    name, _, cloud = stack.partition("-")
    site = environment.load(name, projects / "environments").site(Cloud(cloud))
    named = site.agent_image("device-plugin") is not None
    assert named == (stack == "longestname1-azure"), "the one that names an image"
    found = [one for one in everything if identity(one) == PLUGIN]
    assert len(found) == named
    return found


def identity(one: Object) -> tuple[str, str, str]:
    return one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]


def pods_in(value: Any) -> Iterator[Object]:
    """Whatever has containers, however deep: templates of workloads, of jobs of a schedule, pods themselves."""
    if isinstance(value, dict):
        if "containers" in (value.get("spec") or {}):
            yield value
        for item in value.values():
            yield from pods_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from pods_in(item)


def test_every_pod_passes_the_restricted_standard_but_a_device_plugin_that_was_asked_for(
    everything: list[Object], plugin: list[Object], judge: Judge
) -> None:
    having = [(one, pod) for one in everything for pod in pods_in(one)]
    assert {"trihull-serving", "trihull-router"} <= {one["metadata"]["name"] for one, _ in having}
    versions = len(supported())
    reasons = judge("restricted", [pod for _, pod in having])  # of all at once: each call is a process
    each = [reasons[start : start + versions] for start in range(0, len(reasons), versions)]
    missing = {identity(one) for (one, _), told in zip(having, each, strict=True) if any(told)}
    assert missing == {identity(one) for one in plugin}


def test_the_device_plugin_misses_the_standard_by_the_kubelets_folder_and_its_user_alone(
    run: Run, judge: Judge
) -> None:
    plugin = run("serving", "longestname1-azure").the("kubernetes:apps/v1:DaemonSet").inputs["spec"]["template"]
    reasons = {reason.partition(":")[0] for each in judge("baseline", [mocks.opened(plugin)]) for reason in each}
    assert reasons == {"hostPath volumes"}, "of what baseline forbids it needs the kubelet's folder, and nothing else"
    restricted = {reason.partition(":")[0] for each in judge("restricted", [mocks.opened(plugin)]) for reason in each}
    assert restricted - reasons <= {"restricted volume types", "runAsNonRoot != true", "runAsUser=0"}
    assert all(not each for each in judge("privileged", [mocks.opened(plugin)]))
    # Without the folder it would need no exemption from baseline.
    without: Any = copy.deepcopy(mocks.opened(plugin))
    without["spec"]["volumes"] = []
    assert all(not each for each in judge("baseline", [without]))


def test_the_device_plugin_sees_one_folder_of_the_node_and_nothing_of_the_network(
    everything: list[Object], plugin: list[Object]
) -> None:
    folders = [volume for one in everything for pod in pods_in(one) for volume in pod["spec"].get("volumes", [])]
    paths = [volume["hostPath"]["path"] for volume in folders if "hostPath" in volume]
    assert paths == ["/var/lib/kubelet/device-plugins"] * len(plugin)
    for one in plugin:
        pod = one["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        context = container["securityContext"]
        assert (context["allowPrivilegeEscalation"], context["privileged"]) == (False, False)
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        (policy,) = [each for each in of(everything, "NetworkPolicy") if identity(each)[1] == naming.ACCELERATORS]
        assert policy["spec"]["podSelector"] == {}, "of all pods"
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert not policy["spec"]["ingress"]
        assert not policy["spec"]["egress"]


def test_a_namespace_takes_restricted_pods_alone_but_for_the_one_of_the_device_plugin(
    everything: list[Object], plugin: list[Object]
) -> None:
    levels = {}
    for one in of(everything, "Namespace"):
        labels = one["metadata"]["labels"]
        (level,) = {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")}
        levels[one["metadata"]["name"]] = level
    assert levels == {naming.NAMESPACE: "restricted", **({naming.ACCELERATORS: "privileged"} if plugin else {})}
    inside = {identity(one)[0] for one in everything if identity(one)[1] == naming.ACCELERATORS}
    assert inside == ({"DaemonSet", "NetworkPolicy", "ServiceAccount"} if plugin else set())
    for one in of(everything, "ServiceAccount"):
        assert one["automountServiceAccountToken"] is False
    placed = {identity(one)[1] for one in everything if any(pods_in(one))}
    assert placed <= {*levels, naming.SYSTEM}


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("spec", "hostNetwork"), True, "host namespaces"),
        (("spec", "securityContext", "runAsNonRoot"), False, "runAsNonRoot != true"),
        (("spec", "containers", 0, "securityContext", "privileged"), True, "privileged"),
        (("spec", "containers", 0, "securityContext", "capabilities"), {"drop": []}, "unrestricted capabilities"),
        (("spec", "containers", 0, "securityContext", "seccompProfile"), {"type": "Unconfined"}, "seccompProfile"),
        (("spec", "volumes", 0), {"name": "x", "hostPath": {"path": "/"}}, "restricted volume types"),
    ],
)
def test_the_judge_bites(run: Run, judge: Judge, path: tuple[str | int, ...], value: object, reason: str) -> None:
    pod: Any = copy.deepcopy(mocks.opened(run("serving", "local-gcp").the("kubernetes:apps/v1:Deployment").inputs))
    pod = pod["spec"]["template"]
    *before, last = path
    place = pod
    for step in before:
        place = place[step]
    place[last] = value
    assert all(any(reason in text for text in reasons) for reasons in judge("restricted", [pod]))
