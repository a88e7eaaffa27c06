"""Route 53's health checks and records. Nothing is asked whether it is well, and no resolver answers from here."""

from typing import Any

from trihull_infra.emulators.aws.handler import AwsHandler, Values, given, tag_list
from trihull_infra.emulators.aws.moto import called, gone

NO_CHECK = "NoSuchHealthCheck"


class HealthCheck(AwsHandler):
    """`aws:route53/healthCheck:HealthCheck`."""

    service = "route53"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the check, under the id the recorder drew."""
        client, wanted = self.client(region), _id(outputs)
        config = given(**_changeable(inputs), Type=inputs["type"], RequestInterval=_number(inputs, "requestInterval"))
        made = called(
            "creating Route53 Health Check",
            lambda: client.create_health_check(CallerReference=wanted, HealthCheckConfig=config),
        )
        self.moto.rename_health_check(made["HealthCheck"]["Id"], wanted)
        self._tag(client, outputs)

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change what is asked, and the tags."""
        client, check = self.client(region), _id(outputs)
        called(check, lambda: client.update_health_check(HealthCheckId=check, **given(**_changeable(new))))
        self._tag(client, outputs)

    def _tag(self, client: Any, outputs: Values) -> None:
        check, tags = _id(outputs), tag_list(outputs)
        if tags:
            called(
                check,
                lambda: client.change_tags_for_resource(ResourceType="healthcheck", ResourceId=check, AddTags=tags),
            )

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the check."""
        gone(lambda: self.client(region).delete_health_check(HealthCheckId=_id(outputs)), NO_CHECK)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the check is there."""
        return not gone(lambda: self.client(region).get_health_check(HealthCheckId=_id(outputs)), NO_CHECK)


class Record(AwsHandler):
    """`aws:route53/record:Record`."""

    service = "route53"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the record."""
        self._change(region, "UPSERT", inputs)

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change the record; one of another type or identifier is another record to Route 53."""
        if any(old.get(key) != new.get(key) for key in ("type", "setIdentifier")):
            self._change(region, "DELETE", old)
        self._change(region, "UPSERT", new)

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the record."""
        if self.exists(region, inputs, outputs):
            self._change(region, "DELETE", inputs)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the record is there."""
        pages = self.client(region).get_paginator("list_resource_record_sets").paginate(HostedZoneId=inputs["zoneId"])
        wanted = (inputs["name"], inputs["type"], inputs.get("setIdentifier"))
        found = [one for page in pages for one in page["ResourceRecordSets"]]
        return wanted in [(one["Name"].rstrip("."), one["Type"], one.get("SetIdentifier")) for one in found]

    def _change(self, region: str, action: str, inputs: Values) -> None:
        failover = inputs.get("failoverRoutingPolicies") or [{}]
        record = given(
            Name=inputs["name"],
            Type=inputs["type"],
            TTL=_number(inputs, "ttl"),
            ResourceRecords=[{"Value": value} for value in inputs.get("records") or ()],
            SetIdentifier=inputs.get("setIdentifier"),
            Failover=failover[0].get("type"),
            HealthCheckId=inputs.get("healthCheckId"),
        )
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        client, zone = self.client(region), inputs["zoneId"]
        called(
            f"Route53 Record ({inputs['name']})",
            lambda: client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch),
        )


def _id(outputs: Values) -> str:
    return str(outputs["arn"]).rpartition("/")[2]


def _changeable(inputs: Values) -> dict[str, Any]:
    return {
        "IPAddress": inputs.get("ipAddress"),
        "FullyQualifiedDomainName": inputs.get("fqdn"),
        "Port": _number(inputs, "port"),
        "ResourcePath": inputs.get("resourcePath"),
        "FailureThreshold": _number(inputs, "failureThreshold"),
        "EnableSNI": inputs.get("enableSni"),
    }


def _number(inputs: Values, key: str) -> int | None:
    value = inputs.get(key)
    return None if value is None else int(value)


HANDLERS: dict[str, type[AwsHandler]] = {
    "aws:route53/healthCheck:HealthCheck": HealthCheck,
    "aws:route53/record:Record": Record,
}
