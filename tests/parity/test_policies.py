"""Nothing reaches a pod of ours, and it reaches nothing, unless a policy says so: the same on every cloud."""

from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.conftest import Run
from trihull_infra import capabilities
from trihull_infra.cloud import Cloud

POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def policies(run: Run, project: str, stack: str) -> dict[str, dict[str, Any]]:
    return {one.name: mocks.opened(one.inputs) for one in run(project, stack).of_type(POLICY)}


@pytest.fixture(params=["serving", "routing"])
def project(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def policy(run: Run, project: str, name: str, cloud: Cloud) -> dict[str, Any]:
    found = policies(run, project, f"{name}-{cloud}")
    spec: dict[str, Any] = found["trihull-serving" if project == "serving" else "trihull-router"]["spec"]
    return spec


def test_the_namespace_denies_by_default_both_ways(run: Run, name: str, cloud: Cloud) -> None:
    denied = policies(run, "serving", f"{name}-{cloud}")["trihull-default-deny"]
    assert denied["metadata"]["namespace"] == "trihull"
    assert denied["spec"]["podSelector"] == {}, "of all pods"
    assert denied["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not denied["spec"].get("ingress")
    assert not denied["spec"].get("egress")


def test_everybody_reaches_one_port_and_monitoring_another(policy: dict[str, Any], project: str) -> None:
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    opened, metrics = policy["ingress"]
    assert "from" not in opened
    assert [port["port"] for port in opened["ports"]] == ["infer" if project == "serving" else "ingress"]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"trihull.internal/monitoring": "true"}}}]
    assert [port["port"] for port in metrics["ports"]] == ["health" if project == "serving" else "metrics"]


def test_no_pod_reaches_what_hands_out_the_credentials_of_machines(
    policy: dict[str, Any], project: str, cloud: Cloud
) -> None:
    own = capabilities.capabilities(cloud).identity_endpoints if project == "serving" else {}
    for rule in policy["egress"]:
        for peer in rule.get("to", ()):
            cidr = peer["ipBlock"]["cidr"]
            if cidr in own:
                assert [port["port"] for port in rule["ports"]] == [own[cidr]]
            else:
                assert peer["ipBlock"]["except"] == ["169.254.0.0/16" if cidr == "0.0.0.0/0" else "fe80::/10"]
    anywhere = [rule for rule in policy["egress"] if "to" not in rule]
    assert [[port["port"] for port in rule["ports"]] for rule in anywhere] == [[53, 53]], "names alone, anywhere"


def test_serving_gets_the_credentials_of_its_own_identity(run: Run, cloud: Cloud) -> None:
    """Where a cloud hands them out at a link-local address, the rule that hides those lets this one through."""
    wanted = {Cloud.AWS: ["169.254.170.23/32"], Cloud.GCP: ["169.254.169.254/32"]}.get(cloud, [])
    rules = policies(run, "serving", f"local-{cloud}")["trihull-serving"]["spec"]["egress"]
    blocks = [peer["ipBlock"]["cidr"] for rule in rules for peer in rule.get("to", ())]
    assert [block for block in blocks if block.startswith("169.254")] == wanted


def test_serving_speaks_tls_only_and_routers_to_wherever_sites_answer(run: Run, name: str, cloud: Cloud) -> None:
    for project, workload, ports in (("serving", "trihull-serving", [443]), ("routing", "trihull-router", None)):
        rules = policies(run, project, f"{name}-{cloud}")[workload]["spec"]["egress"]
        (everywhere,) = [rule for rule in rules if {"0.0.0.0/0"} <= {p["ipBlock"]["cidr"] for p in rule.get("to", ())}]
        assert [port["port"] for port in everywhere.get("ports", ())] == (ports or [])


def test_every_workload_of_ours_has_a_policy_that_selects_its_pods(
    run: Run, project: str, name: str, cloud: Cloud
) -> None:
    stack = f"{name}-{cloud}"
    selected = [
        one["spec"]["podSelector"]["matchLabels"]
        for one in policies(run, project, stack).values()
        if one["spec"]["podSelector"]
    ]
    for deployment in run(project, stack).of_type("kubernetes:apps/v1:Deployment"):
        labels = mocks.opened(deployment.inputs)["spec"]["template"]["metadata"]["labels"]
        assert any(each.items() <= labels.items() for each in selected), f"{deployment.name} has none"
