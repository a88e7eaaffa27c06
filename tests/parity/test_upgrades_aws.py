"""Upgrades of nodes on AWS: schedules that ask for the newest image inside the window, and may do nothing else."""

import json
from typing import Any

from tests.parity import mocks
from tests.parity.changes import local, register
from tests.parity.conftest import Run
from tests.parity.mocks import Recording
from tests.parity.test_traps_aws import ROLE, ROLE_POLICY, SCHEDULE, described, statements
from tests.parity.tokens import POOLS
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment
from trihull_infra.providers.aws.upgrades import opens

GROUP = "aws:scheduler/scheduleGroup:ScheduleGroup"


QUEUE = "aws:sqs/queue:Queue"
TEMPLATES = "aws:ec2/launchTemplate:LaunchTemplate"


def queue_arn(site: Recording) -> str:
    return str(site.made[QUEUE, "upgrades-failed"][1]["arn"])


def test_every_node_group_is_moved_to_the_newest_image_inside_the_window(
    run: Run, name: str, spec: Environment
) -> None:
    site, upgrades = run("site", f"{name}-aws"), spec.upgrades
    cluster = mocks.opened(site.exports["cluster_name"])
    asked = {}
    for one in site.of_type(SCHEDULE):
        target: dict[str, Any] = one.inputs["target"]
        asked[one.inputs["name"]] = json.loads(target["input"])
        assert target["arn"] == "arn:aws:scheduler:::aws-sdk:eks:updateNodegroupVersion"
        assert target["deadLetterConfig"] == {"arn": queue_arn(site)}
        assert target["retryPolicy"] == {"maximumEventAgeInSeconds": upgrades.hours * 3600}, "while it is open"
        assert one.inputs["scheduleExpression"] == opens(upgrades.days, upgrades.start_utc)
        assert one.inputs["scheduleExpressionTimezone"] == "UTC"
        assert one.inputs["flexibleTimeWindow"] == {"mode": "OFF"}
    groups = [one.inputs["nodeGroupName"] for one in site.of_type(POOLS[Cloud.AWS])]
    groups = groups if upgrades.automatic == "patch" else []
    # Without a version EKS would follow the cluster's minor version; keys of a universal target are capitalised.
    assert asked == {
        group: {"ClusterName": cluster, "NodegroupName": group, "Version": spec.kubernetes_version} for group in groups
    }


def test_the_window_is_written_as_eventbridge_reads_it() -> None:
    assert opens(("saturday", "sunday"), "02:00") == "cron(0 2 ? * SAT,SUN *)"
    assert opens(("wednesday",), "23:30") == "cron(30 23 ? * WED *)"


def test_schedules_may_do_nothing_but_that(run: Run) -> None:
    site = run("site", "local-aws")
    cluster = mocks.opened(site.exports["cluster_name"])
    (trust,) = statements(site, ROLE, "upgrades-role", "assumeRolePolicy")
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    source = trust["Condition"]["StringEquals"]["aws:SourceArn"]
    place = ":".join(source.split(":")[3:5])
    assert trust["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"
    assert source == f"arn:aws:scheduler:{place}:schedule-group/{site.the(GROUP).inputs['name']}"
    moves, runs, tags, reads, sends = statements(site, ROLE_POLICY, "upgrades-permissions")
    assert moves["Action"] == ["eks:UpdateNodegroupVersion"]
    assert moves["Resource"] == [
        f"arn:aws:eks:{place}:nodegroup/{cluster}/{one.inputs['nodeGroupName']}/*"
        for one in site.of_type(POOLS[Cloud.AWS])
    ]
    assert runs["Action"] == ["ec2:RunInstances"]
    assert all(resource.split(":")[3] == place.split(":")[0] for resource in runs["Resource"]), "in no other region"
    assert tags["Condition"] == {"StringEquals": {"ec2:CreateAction": "RunInstances"}}
    assert (reads["Action"], reads["Resource"]) == (["ec2:DescribeLaunchTemplateVersions"], ["*"])
    assert reads["Condition"] == {"StringEquals": {"ec2:Region": place.split(":")[0]}}
    assert (sends["Action"], sends["Resource"]) == (["sqs:SendMessage"], [queue_arn(site)])


def test_instances_start_by_the_groups_own_templates_and_in_their_subnets_alone(
    run: Run, name: str, spec: Environment
) -> None:
    site = run("site", f"{name}-aws")
    if spec.upgrades.automatic != "patch":
        assert [one for one in site.resources if one.name.startswith("upgrades")] == []
        return
    (runs,) = [
        one for one in statements(site, ROLE_POLICY, "upgrades-permissions") if "ec2:RunInstances" in one["Action"]
    ]
    templates = [site.made[TEMPLATES, one.name][1]["arn"] for one in site.of_type(TEMPLATES)]
    assert len(templates) == (1 if spec.pools.accelerator is None else 2)
    assert runs["Condition"] == {"ArnEquals": {"ec2:LaunchTemplate": templates}}
    kinds: dict[str, list[str]] = {}
    for resource in runs["Resource"]:
        kind, _, which = resource.split(":", 5)[5].partition("/")
        kinds.setdefault(kind, []).append(which)
    subnets = {subnet for one in site.of_type(POOLS[Cloud.AWS]) for subnet in mocks.opened(one.inputs)["subnetIds"]}
    assert set(kinds.pop("subnet")) == subnets
    assert sorted(kinds.pop("launch-template")) == sorted(arn.rpartition("/")[2] for arn in templates)
    assert kinds == {kind: ["*"] for kind in ("instance", "network-interface", "security-group", "volume", "image")}


def test_calls_that_failed_lie_encrypted_for_two_weeks(run: Run) -> None:
    inputs = run("site", "local-aws").the(QUEUE).inputs
    assert inputs["name"] == "trihull-local-upgrades-failed"
    assert inputs["sqsManagedSseEnabled"] is True
    assert inputs["messageRetentionSeconds"] == 14 * 24 * 3600
    assert "fifoQueue" not in inputs, "EventBridge writes to no such queue"
    assert "policy" not in inputs, "nobody is let in but by its own rights"


def test_no_schedule_is_made_where_nothing_shall_be_automatic() -> None:
    environment = local()
    environment["upgrades"] = {"automatic": "none"}
    site = register(environment, Cloud.AWS)
    assert not [one for one in site.resources if one.type.startswith("aws:scheduler/")]
    assert not [one for one in site.of_type(ROLE) if one.name == "upgrades-role"]
    assert site.of_type(QUEUE) == []
    assert not described(site).nodes_upgraded_in_window


def test_another_partition_is_asked_in_its_own_words() -> None:
    environment = local()
    environment["clouds"]["aws"] |= {"region": "us-gov-west-1", "zones": ["us-gov-west-1a", "us-gov-west-1b"]}
    site = register(environment, Cloud.AWS)
    assert "arn:aws:" not in json.dumps([one.inputs["target"]["arn"] for one in site.of_type(SCHEDULE)])
    assert "arn:aws:" not in site.the(ROLE_POLICY, "upgrades-permissions").inputs["policy"]
