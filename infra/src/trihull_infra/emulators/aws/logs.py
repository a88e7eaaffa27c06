"""CloudWatch's log groups."""

from trihull_infra.emulators.aws.handler import AwsHandler, Values, given, tag_map
from trihull_infra.emulators.aws.moto import called, gone

NONE = "ResourceNotFoundException"


class LogGroup(AwsHandler):
    """`aws:cloudwatch/logGroup:LogGroup`."""

    service = "logs"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the group."""
        name, client = inputs["name"], self.client(region)
        arguments = given(kmsKeyId=inputs.get("kmsKeyId"), tags=tag_map(outputs) or None)
        called(f"creating Log Group ({name})", lambda: client.create_log_group(logGroupName=name, **arguments))
        self._retain(region, inputs)

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change how long logs are kept."""
        self._retain(region, new)

    def _retain(self, region: str, inputs: Values) -> None:
        name, client, days = inputs["name"], self.client(region), inputs.get("retentionInDays")
        if days:
            called(name, lambda: client.put_retention_policy(logGroupName=name, retentionInDays=int(days)))
        else:
            called(name, lambda: client.delete_retention_policy(logGroupName=name))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the group, unless the program asks to keep it."""
        if not inputs.get("skipDestroy"):
            gone(lambda: self.client(region).delete_log_group(logGroupName=inputs["name"]), NONE)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the group is there."""
        groups = self.client(region).describe_log_groups(logGroupNamePrefix=inputs["name"])["logGroups"]
        return any(group["logGroupName"] == inputs["name"] for group in groups)


HANDLERS: dict[str, type[AwsHandler]] = {"aws:cloudwatch/logGroup:LogGroup": LogGroup}
