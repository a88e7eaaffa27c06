"""Where pods run, what they get there, and what runs in kube-system: what the environment asks for, on every cloud."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parity import mocks
from tests.parity.conftest import EXTERNAL, Run
from tests.parity.mocks import Recording
from trihull_infra import capabilities, images, naming, specs, workload
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment
from trihull_infra.errors import SpecError
from trihull_infra.pools import every_share, shares
from trihull_infra.program import Program
from trihull_infra.workload import agents, placement

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SOURCES = Path(workload.__file__).parents[1]
DAEMONS = "kubernetes:apps/v1:DaemonSet"
NAMES = {"serving": "trihull-serving", "routing": "trihull-router"}


@pytest.fixture(params=list(NAMES))
def project(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pod(run: Run, project: str, name: str, cloud: Cloud) -> dict[str, Any]:
    spec = mocks.opened(run(project, f"{name}-{cloud}").the(DEPLOYMENT, NAMES[project]).inputs)["spec"]
    found: dict[str, Any] = spec["template"]["spec"]
    return found


def pool_of(project: str, spec: Environment) -> str:
    return spec.serving.pool if project == "serving" else naming.POOL


def test_replicas_get_what_the_environment_asks_for(run: Run, name: str, cloud: Cloud, spec: Environment) -> None:
    inputs = mocks.opened(run("serving", f"{name}-{cloud}").the(DEPLOYMENT, "trihull-serving").inputs)
    (container,) = inputs["spec"]["template"]["spec"]["containers"]
    devices = {"nvidia.com/gpu": str(spec.serving.accelerators)} if spec.serving.accelerators else {}
    assert container["resources"]["requests"] == {"cpu": spec.serving.cpu, "memory": spec.serving.memory}
    assert container["resources"]["limits"] == {"memory": spec.serving.memory, **devices}


def test_pods_run_on_the_nodes_of_their_pool(
    pod: dict[str, Any], project: str, cloud: Cloud, spec: Environment
) -> None:
    assert pod["nodeSelector"] == spec.site(cloud).node_selector(pool_of(project, spec))


def test_pods_bear_the_taints_of_their_pool_and_no_others(
    pod: dict[str, Any], project: str, cloud: Cloud, spec: Environment
) -> None:
    """The spot and accelerator taints of DESIGN.md section 6: our own everywhere, and those that a cloud adds."""
    pool = spec.pools.all[pool_of(project, spec)]
    wanted: dict[str, str] = {}
    declared = capabilities.capabilities(cloud)
    if specs.provisions(cloud):
        for half in shares(pool_of(project, spec), pool):
            wanted |= dict(half.taints) | (dict(declared.spot_taints) if half.spot else {})
            wanted |= dict(declared.accelerator_taints) if pool.resolved.accelerator else {}
    assert {one["key"]: one["value"] for one in pod["tolerations"]} == wanted
    assert all((one["operator"], one["effect"]) == ("Equal", "NoSchedule") for one in pod["tolerations"])


def test_pods_tolerate_spot_nodes_only_where_there_are_any(run: Run, project: str, cloud: Cloud) -> None:
    def tolerated(name: str) -> set[str]:
        spec = run(project, f"{name}-{cloud}").the(DEPLOYMENT, NAMES[project]).inputs["spec"]["template"]["spec"]
        return {one["key"] for one in spec["tolerations"]}

    assert tolerated("local") == set()
    if specs.provisions(cloud):
        own = {"kubernetes.azure.com/scalesetpriority"} if cloud == Cloud.AZURE else set()
        device = {"trihull.internal/accelerator"} if project == "serving" else set()
        declared = set(capabilities.capabilities(cloud).accelerator_taints) if project == "serving" else set()
        assert tolerated("longestname1") == {"trihull.internal/spot"} | own | device | declared
    else:
        assert tolerated("longestname1") == set(), "the nodes of a cluster that is there already are not ours to taint"


def test_spot_nodes_are_a_wish_so_that_others_take_over(
    pod: dict[str, Any], project: str, cloud: Cloud, spec: Environment
) -> None:
    pool = spec.pools.all[pool_of(project, spec)]
    spot = specs.provisions(cloud) and any(half.spot for half in shares(pool_of(project, spec), pool))
    if not spot:
        assert "affinity" not in pod
        return
    (wish,) = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    (rule,) = wish["preference"]["matchExpressions"]
    assert rule == {"key": "trihull.internal/spot", "operator": "In", "values": ["true"]}
    assert "requiredDuringSchedulingIgnoredDuringExecution" not in pod["affinity"]["nodeAffinity"]


def test_routers_come_before_replicas_and_both_before_others(run: Run, name: str, cloud: Cloud) -> None:
    classes = {
        one.name: one
        for one in run("serving", f"{name}-{cloud}").of_type("kubernetes:scheduling.k8s.io/v1:PriorityClass")
    }
    serving, router = (classes[workload].inputs for workload in NAMES.values())
    assert 0 < serving["value"] < router["value"] < 1_000_000_000, "below what the system keeps for itself"
    assert serving["preemptionPolicy"] == "Never", "a model ends nobody else's pods"
    assert router["preemptionPolicy"] == "PreemptLowerPriority"
    for one in classes.values():
        assert not one.inputs["globalDefault"]
        assert "namespace" not in one.inputs["metadata"]
        assert one.delete_before_replace, "its name is fixed and its value cannot be changed"


def test_pods_have_their_priority(pod: dict[str, Any], project: str) -> None:
    assert pod["priorityClassName"] == NAMES[project]


def test_pods_pull_with_the_secrets_of_the_site(pod: dict[str, Any], cloud: Cloud, spec: Environment) -> None:
    named = [{"name": secret} for secret in spec.site(cloud).image_pull_secrets]
    assert pod.get("imagePullSecrets", []) == named


def test_the_sites_annotations_of_load_balancers_come_before_the_clouds(
    run: Run, project: str, name: str, cloud: Cloud, spec: Environment
) -> None:
    found = run(project, f"{name}-{cloud}").the("kubernetes:core/v1:Service").inputs["metadata"]
    wanted = {**capabilities.capabilities(cloud).service_annotations, **spec.site(cloud).load_balancer_annotations}
    assert found.get("annotations", {}) == wanted


def test_secrets_and_annotations_of_a_site_reach_the_objects(
    run: Any, project: str, spec: Environment, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(spec.site(cloud))
    monkeypatch.setattr(kind, "image_pull_secrets", property(lambda _: ("login",)))
    monkeypatch.setattr(kind, "load_balancer_annotations", property(lambda _: {"a/b": "c"}))
    fresh: Recording = run.__wrapped__(project, f"{spec.name}-{cloud}")
    pod = mocks.opened(fresh.the(DEPLOYMENT, NAMES[project]).inputs)["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "login"}]
    assert fresh.the("kubernetes:core/v1:Service").inputs["metadata"]["annotations"]["a/b"] == "c"


@pytest.mark.parametrize("image", ["host/x:1.2", "host/x", f"host/x:1@sha256:{'0' * 64}", f"host/x@sha256:{'0' * 63}"])
def test_no_pod_is_made_of_an_image_without_a_digest(run: Any, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a program does: the check stands where pod templates are made, and only there."""
    monkeypatch.setattr(workload, "image_reference", lambda registry, digest: image)
    with pytest.raises(Exception, match="by digest and without a tag"):
        run.__wrapped__("serving", "local-aws")
    made = [path for path in SOURCES.rglob("*.py") if "PodTemplateSpecArgs(" in path.read_text()]
    assert made == [SOURCES / "workload" / "pods.py"]


def autoscalers(run: Run, stack: str) -> list[mocks.Resource]:
    return [one for one in run("serving", stack).resources if one.name == naming.NODE_AUTOSCALER]


def test_a_node_autoscaler_runs_where_pools_do_not_scale_themselves(
    run: Run, name: str, cloud: Cloud, spec: Environment
) -> None:
    kinds = {one.type.rpartition(":")[2] for one in autoscalers(run, f"{name}-{cloud}")}
    if not capabilities.capabilities(cloud).node_autoscaler:
        assert kinds == set()
        return
    wanted = {
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "NetworkPolicy",
        "Deployment",
    }
    assert kinds == wanted
    deployment = mocks.opened(run("serving", f"{name}-{cloud}").the(DEPLOYMENT, naming.NODE_AUTOSCALER).inputs)
    assert deployment["metadata"]["namespace"] == "kube-system"
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    tag = f"k8s.io/cluster-autoscaler/{run('site', f'{name}-{cloud}').exports['cluster_name']}"
    assert any(argument.endswith(tag) for argument in container["args"]), "it finds the groups of this cluster alone"
    assert "--expander=priority,least-waste" in container["args"]
    assert {"name": "AWS_REGION", "value": spec.site(cloud).region} in container["env"]
    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_the_node_autoscaler_may_do_little(run: Run) -> None:
    mine = {one.type.rpartition(":")[2]: mocks.opened(one.inputs) for one in autoscalers(run, "local-aws")}
    granted = [rule for kind in ("ClusterRole", "Role") for rule in mine[kind]["rules"]]
    for rule in granted:
        assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
        assert "secrets" not in rule["resources"]
    changed = {
        (resource, verb)
        for rule in granted
        for resource in rule["resources"]
        for verb in set(rule["verbs"]) - {"get", "list", "watch"}
        if not rule.get("resourceNames")
    }
    assert changed == {
        ("events", "create"), ("events", "patch"), ("pods/eviction", "create"), ("pods/status", "update"),
        ("nodes", "update"), ("configmaps", "create"), ("leases", "create"),
    }  # fmt: skip
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert mine[kind]["subjects"] == [
            {"kind": "ServiceAccount", "name": naming.NODE_AUTOSCALER, "namespace": "kube-system"}
        ]
        assert mine[kind]["roleRef"]["name"] == naming.NODE_AUTOSCALER


def test_spot_groups_are_made_larger_first(run: Run, name: str, cloud: Cloud, spec: Environment) -> None:
    found = [one for one in run("serving", f"{name}-{cloud}").resources if one.name == agents.EXPANDER]
    spot = [half.name for half in every_share(spec.pools) if half.spot]
    if not (spot and capabilities.capabilities(cloud).spot_by_priorities):
        assert found == []
        return
    (config,) = found
    assert (config.inputs["metadata"]["name"], config.inputs["metadata"]["namespace"]) == (
        "cluster-autoscaler-priority-expander",
        "kube-system",
    )
    read = yaml.safe_load(config.inputs["data"]["priorities"])
    assert read[max(read)] == [f".*{half}.*" for half in spot]
    assert read[min(read)] == [".*"]


def test_a_device_plugin_runs_where_it_is_ours_and_there_are_devices(
    run: Run, name: str, cloud: Cloud, spec: Environment
) -> None:
    found = run("serving", f"{name}-{cloud}").of_type(DAEMONS)
    pool = spec.pools.accelerator
    if pool is None or not capabilities.capabilities(cloud).device_plugin:
        assert found == []
        return
    (plugin,) = found
    pod = mocks.opened(plugin.inputs)["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == spec.site(cloud).agent_image("device-plugin")
    assert pod["nodeSelector"] == {
        naming.ACCELERATOR_LABEL: pool.resolved.accelerator and pool.resolved.accelerator.class_name
    }
    assert {"trihull.internal/spot", "trihull.internal/accelerator"} <= {one["key"] for one in pod["tolerations"]}
    assert pod["automountServiceAccountToken"] is False
    assert plugin.inputs["metadata"]["namespace"] == naming.ACCELERATORS


def test_no_device_plugin_of_ours_runs_where_the_platform_has_one(run: Run, cloud: Cloud, projects: Path) -> None:
    elsewhere = run("serving", f"{EXTERNAL}-{cloud}")
    assert elsewhere.of_type(DAEMONS) == []
    devices = {one.name for one in run("serving", f"longestname1-{cloud}").registered}
    devices -= {one.name for one in elsewhere.registered}
    own = {naming.DEVICE_PLUGIN, naming.ACCELERATORS, f"{naming.ACCELERATORS}-default-deny"}
    assert devices == (own if capabilities.capabilities(cloud).device_plugin else set()), "and nothing else differs"
    container = mocks.opened(elsewhere.the(DEPLOYMENT, "trihull-serving").inputs)["spec"]["template"]["spec"]
    assert container["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1", "which asks for what it offers"


def test_every_minor_version_has_an_image_of_the_autoscaler_or_the_environment_names_it(
    projects: Any, spec: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Program(spec, Cloud.AWS, projects)
    assert images.of_agent(begun, "node-autoscaler", "node_autoscaler").count("@sha256:") == 1
    older = dataclasses.replace(begun, environment=spec.model_copy(update={"kubernetes_version": "1.32"}))
    with pytest.raises(SpecError, match=r"clouds\.aws\.node_autoscaler: is missing; .* Kubernetes 1\.32 is known"):
        images.of_agent(older, "node-autoscaler", "node_autoscaler")
    own = f"mirror.example/autoscaler@sha256:{'1' * 64}"
    monkeypatch.setattr(type(spec.site(Cloud.AWS)), "agent_image", lambda _, agent: own)
    assert images.of_agent(older, "node-autoscaler", "node_autoscaler") == own


def test_priorities_are_empty_without_spot(projects: Any, spec: Environment) -> None:
    spot = any(half.spot for half in every_share(spec.pools))
    assert bool(agents.spot_first(Program(spec, Cloud.AWS, projects))) == spot
    assert agents.spot_first(Program(spec, Cloud.KUBERNETES, projects)) == ""


def test_no_pool_of_a_cluster_that_is_there_already_is_ours(projects: Any, spec: Environment) -> None:
    begun = Program(spec, Cloud.KUBERNETES, projects)
    for name in spec.pools.all:
        assert placement.halves(begun, name) == ()
        assert placement.tolerations(begun, name) == []
        assert placement.affinity(begun, name) is None
