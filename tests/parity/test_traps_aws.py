"""The traps of AWS, each by name: what makes a site there behave as on the other clouds."""

import json

from tests.parity.conftest import Run
from tests.parity.tokens import BUCKETS, CLUSTERS
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment


def test_eks_access_is_by_entries_alone(run: Run, name: str, spec: Environment) -> None:
    site = run("site", f"{name}-aws")
    assert site.the(CLUSTERS[Cloud.AWS]).inputs["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    entries = [one.inputs["principalArn"] for one in site.of_type("aws:eks/accessEntry:AccessEntry")]
    assert entries == list(spec.site(Cloud.AWS).administrators)


def test_eks_log_group_is_there_before_the_cluster(run: Run) -> None:
    order = [one.type for one in run("site", "local-aws").resources]
    group = run("site", "local-aws").the("aws:cloudwatch/logGroup:LogGroup").inputs
    assert order.index("aws:cloudwatch/logGroup:LogGroup") < order.index(CLUSTERS[Cloud.AWS])
    assert group["name"] == "/aws/eks/trihull-local/cluster"
    assert group["retentionInDays"] == 90


def test_eks_addons_bring_network_policy_metrics_and_identity(run: Run) -> None:
    addons = {one.inputs["addonName"]: one.inputs for one in run("site", "local-aws").of_type("aws:eks/addon:Addon")}
    assert {"vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent", "metrics-server"} == set(addons)
    assert json.loads(addons["vpc-cni"]["configurationValues"]) == {"enableNetworkPolicy": "true"}


def test_s3_bucket_has_no_deprecated_inline_argument(run: Run) -> None:
    inputs = run("site", "local-aws").the(BUCKETS[Cloud.AWS]).inputs
    assert set(inputs) == {"bucket", "forceDestroy", "tags"}
