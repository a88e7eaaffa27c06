"""Upgrades of nodes on AWS: inside the environment's window, managed node groups are moved to the newest image.

EKS has no maintenance window: it patches control planes at its own time, with no setting for it, and leaves node groups
on the image that they were made with until somebody asks. Here a schedule of EventBridge asks, once when the window
opens on each of its days. Nothing is forced: a group whose pods cannot be drained within EKS's time stays as it is.

Sources, looked up on 2026-11-24:
- the call moves a group to the newest image of the version that is named, never back, and follows the cluster's own
  minor version when none is named, so it is named here: botocore 1.44.5, data/eks/2017-11-01, UpdateNodegroupVersion;
- a group that is current answers with an update to the image it has: a public script that compares both (found by
  search, repository and commit not given), no statement of AWS;
- it needs ec2:RunInstances and ec2:CreateTags where a launch template tags instances: awsdocs/amazon-eks-user-guide,
  latest/ug/nodes/launch-templates.adoc @f6004140; on which resources EKS checks them was not found;
- EKS moves control planes to the newest platform version by itself: latest/ug/clusters/platform-versions.adoc of it;
- universal targets, and that SourceArn names the schedule's group: AWS, EventBridge Scheduler User Guide,
  managing-targets-universal and cross-service-confused-deputy-prevention; keys of their input begin with a capital
  letter, else CreateSchedule refuses it: three public configurations for eks:updateNodegroupConfig (found by search);
- names, retries (60 to 86400 s): botocore 1.44.5, data/scheduler/2021-06-30;
- the provider takes a release version that it was not told from the cloud, so no newer image is a change that it plans:
  hashicorp/terraform-provider-aws internal/service/eks/node_group.go @012e0a32f068 (optional and computed).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import eks, iam, scheduler

from trihull_infra import provider
from trihull_infra.provider import Site
from trihull_infra.providers.aws import policies
from trihull_infra.providers.aws.spec import AwsSpec

HOUR_S: Final = 3600


@dataclass(frozen=True)
class Upgrades:
    """A schedule for each node group, and the role by which they ask EKS for nothing else."""

    group: scheduler.ScheduleGroup
    role: iam.Role
    permissions: iam.RolePolicy
    schedules: list[scheduler.Schedule]


def upgrades(
    site: Site, cluster: provider.Cluster, groups: Mapping[str, eks.NodeGroup], child: pulumi.ResourceOptions
) -> Upgrades:
    """Register what moves node groups, by their names, to the newest image; all of it children of the pools."""
    assert isinstance(site.spec, AwsSpec)
    spec, called = site.spec, site.name("upgrades")
    partition, place = policies.partition(spec.region), f"{spec.region}:{spec.account}"
    group = scheduler.ScheduleGroup("upgrades-group", name=called, tags=site.labels, opts=child)
    role = iam.Role(
        "upgrades-role",
        name=called,
        assume_role_policy=policies.service_trust(
            "scheduler.amazonaws.com",
            account=spec.account,
            source=f"arn:{partition}:scheduler:{place}:schedule-group/{called}",
        ),
        tags=site.labels,
        opts=child,
    )
    permissions = iam.RolePolicy(
        "upgrades-permissions",
        name="upgrade-nodes",
        role=role.name,
        policy=cluster.name.apply(
            lambda owner: policies.document(
                policies.allow(
                    ["eks:UpdateNodegroupVersion"],
                    [f"arn:{partition}:eks:{place}:nodegroup/{owner}/{name}/*" for name in groups],
                ),
                policies.allow(
                    ["ec2:RunInstances"],
                    [f"arn:{partition}:ec2:{place}:*", f"arn:{partition}:ec2:{spec.region}::image/*"],
                ),
                policies.allow(
                    ["ec2:CreateTags"],
                    [f"arn:{partition}:ec2:{place}:{kind}/*" for kind in ("instance", "volume")],
                    StringEquals={"ec2:CreateAction": "RunInstances"},
                ),
            )
        ),
        opts=child,
    )
    window = site.environment.upgrades

    def schedule(name: str, made: eks.NodeGroup) -> scheduler.Schedule:
        asked = {"NodegroupName": name, "Version": site.environment.kubernetes_version}
        return scheduler.Schedule(
            f"upgrades-{name}",
            name=name,
            group_name=group.name,
            schedule_expression=opens(window.days, window.start_utc),
            schedule_expression_timezone="UTC",
            flexible_time_window=scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            target=scheduler.ScheduleTargetArgs(
                arn=f"arn:{partition}:scheduler:::aws-sdk:eks:updateNodegroupVersion",
                role_arn=role.arn,
                input=cluster.name.apply(lambda owner: json.dumps({"ClusterName": owner, **asked})),
                retry_policy=scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=window.hours * HOUR_S  # later, it waits for the next window
                ),
            ),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[made, permissions])),
        )

    return Upgrades(group, role, permissions, [schedule(name, made) for name, made in groups.items()])


def opens(days: tuple[str, ...], start_utc: str) -> str:
    """Return when the window opens, as EventBridge reads it: `cron(0 2 ? * SAT,SUN *)`."""
    hour, minute = (int(part) for part in start_utc.split(":"))
    return f"cron({minute} {hour} ? * {','.join(day[:3].upper() for day in days)} *)"
