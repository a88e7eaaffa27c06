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
  latest/ug/nodes/launch-templates.adoc @f6004140 (2024-12-18);
- EKS asks EC2 in the caller's name and with the launch template: a denial of ec2:RunInstances that somebody published,
  decoded, names the caller's role, the resource instance/* and the conditions ec2:IsLaunchTemplateResource and
  ec2:LaunchTemplate (a public README of a Terraform module for EKS, found by search, repository and commit not given).
  It does not say of which call; that this one asks with the same template is not shown by any source. Statements that
  let instances start by one template alone are AWS's own advice: EC2 User Guide,
  use-launch-templates-to-control-launching-instances (on 2026-11-28);
- it reads the template in the caller's name too: re:Post QUCe-6r8biRj-GJQdakFnSXw ("not authorized to describe the
  launch template version"), of a call that names the template, as this one does not;
- EKS moves control planes to the newest platform version by itself: latest/ug/clusters/platform-versions.adoc of it;
- universal targets, and that SourceArn names the schedule's group: AWS, EventBridge Scheduler User Guide,
  managing-targets-universal and cross-service-confused-deputy-prevention; keys of their input begin with a capital
  letter, else CreateSchedule refuses it: three public configurations for eks:updateNodegroupConfig (found by search);
- calls that failed go to a standard queue, written to with the schedule's role: configuring-schedule-dlq of that guide;
  a queue with SQS's own encryption takes requests by TLS alone: SQS Developer Guide, sqs-server-side-encryption (both
  looked up on 2026-11-28);
- names, retries (60 to 86400 s): botocore 1.44.5, data/scheduler/2021-06-30;
- the provider takes a release version that it was not told from the cloud, so no newer image is a change that it plans:
  hashicorp/terraform-provider-aws internal/service/eks/node_group.go @012e0a32f068 (optional and computed).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws import eks, iam, scheduler, sqs

from trihull_infra import provider
from trihull_infra.provider import Site
from trihull_infra.providers.aws import policies
from trihull_infra.providers.aws.spec import AwsSpec

HOUR_S: Final = 3600
KEPT_S: Final = 14 * 24 * HOUR_S  # the longest that a queue keeps a message
# What an instance is made of that no id is known of beforehand; EKS and EC2 name the cluster's own security group.
PARTS: Final = ("instance", "network-interface", "security-group", "volume")


@dataclass(frozen=True)
class Upgrades:
    """A schedule for each node group, the role by which they ask EKS for nothing else, and where failed calls lie."""

    group: scheduler.ScheduleGroup
    failed: sqs.Queue
    role: iam.Role
    permissions: iam.RolePolicy
    schedules: list[scheduler.Schedule]


def upgrades(
    site: Site,
    base: provider.Base,
    cluster: provider.Cluster,
    groups: Mapping[str, eks.NodeGroup],
    templates: Sequence[pulumi.Output[str]],
    child: pulumi.ResourceOptions,
) -> Upgrades:
    """Register what moves node groups, by their names, to the newest image; all of it children of the pools.

    Args:
        site: the site.
        base: its network has the subnets in which alone instances may start.
        cluster: the groups' cluster.
        groups: the node groups by name.
        templates: the ids of the groups' launch templates, by which alone instances may start.
        child: the resources' options.
    """
    assert isinstance(site.spec, AwsSpec)
    spec, called = site.spec, site.name("upgrades")
    partition, place = policies.partition(spec.region), f"{spec.region}:{spec.account}"
    group = scheduler.ScheduleGroup("upgrades-group", name=called, tags=site.labels, opts=child)
    failed = sqs.Queue(
        "upgrades-failed",
        name=site.name("upgrades-failed"),
        message_retention_seconds=KEPT_S,
        sqs_managed_sse_enabled=True,
        tags=site.labels,
        opts=child,
    )
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
        policy=pulumi.Output.all(
            cluster=cluster.name,
            failed=failed.name,
            templates=list(templates),
            subnets=list(base.network.subnets),
        ).apply(lambda known: _permitted(f"arn:{partition}", place, list(groups), known)),
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
                dead_letter_config=scheduler.ScheduleTargetDeadLetterConfigArgs(arn=failed.arn),
                retry_policy=scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=window.hours * HOUR_S  # later, it waits for the next window
                ),
            ),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[made, permissions])),
        )

    return Upgrades(group, failed, role, permissions, [schedule(name, made) for name, made in groups.items()])


def _permitted(arn: str, place: str, groups: Sequence[str], known: Mapping[str, Any]) -> str:
    """Return what the schedules' role may do: ask EKS to move these groups, and what EKS does in its name for that.

    Args:
        arn: the first two words of every ARN, `arn:<partition>`.
        place: region and account, `<region>:<account>`.
        groups: the node groups' names.
        known: the names of the `cluster` and of the queue of `failed` calls, the ids of `templates` and of `subnets`.
    """
    region = place.partition(":")[0]
    templates = [f"{arn}:ec2:{place}:launch-template/{template}" for template in known["templates"]]
    return policies.document(
        policies.allow(
            ["eks:UpdateNodegroupVersion"],
            [f"{arn}:eks:{place}:nodegroup/{known['cluster']}/{name}/*" for name in groups],
        ),
        policies.allow(
            ["ec2:RunInstances"],
            [
                *(f"{arn}:ec2:{place}:{kind}/*" for kind in PARTS),
                *(f"{arn}:ec2:{place}:subnet/{subnet}" for subnet in known["subnets"]),
                *templates,
                f"{arn}:ec2:{region}::image/*",
            ],
            ArnEquals={"ec2:LaunchTemplate": templates},
        ),
        policies.allow(
            ["ec2:CreateTags"],
            [f"{arn}:ec2:{place}:{kind}/*" for kind in ("instance", "volume")],
            StringEquals={"ec2:CreateAction": "RunInstances"},
        ),
        # It only reads, and EC2 knows no resource for it.
        policies.allow(["ec2:DescribeLaunchTemplateVersions"], ["*"], StringEquals={"ec2:Region": region}),
        policies.allow(["sqs:SendMessage"], [f"{arn}:sqs:{place}:{known['failed']}"]),
    )


def opens(days: tuple[str, ...], start_utc: str) -> str:
    """Return when the window opens, as EventBridge reads it: `cron(0 2 ? * SAT,SUN *)`."""
    hour, minute = (int(part) for part in start_utc.split(":"))
    return f"cron({minute} {hour} ? * {','.join(day[:3].upper() for day in days)} *)"
