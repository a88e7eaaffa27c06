"""KMS keys and aliases."""

from typing import Any

from trihull_infra.emulators.aws.handler import AwsHandler, Values, document, given, tag_list
from trihull_infra.emulators.aws.moto import called, gone

NONE = "NotFoundException"


class Key(AwsHandler):
    """`aws:kms/key:Key`."""

    service = "kms"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the key, under the id the recorder drew."""
        client = self.client(region)
        arguments = given(
            Policy=document(inputs["policy"]) if inputs.get("policy") else None,
            Description=inputs.get("description"),
            KeyUsage=inputs.get("keyUsage"),
            KeySpec=inputs.get("customerMasterKeySpec"),
            MultiRegion=inputs.get("multiRegion"),
            Tags=tag_list(outputs, "TagKey", "TagValue") or None,
        )
        with self.moto.key_id(outputs["keyId"]):
            called("creating KMS Key", lambda: client.create_key(**arguments))
        self._rotate(client, inputs, outputs)

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change description, policy, rotation and tags."""
        client, key = self.client(region), outputs["keyId"]
        called(key, lambda: client.update_key_description(KeyId=key, Description=new.get("description") or ""))
        if new.get("policy"):
            text = document(new["policy"])
            called(key, lambda: client.put_key_policy(KeyId=key, PolicyName="default", Policy=text))
        called(key, lambda: client.tag_resource(KeyId=key, Tags=tag_list(outputs, "TagKey", "TagValue")))
        self._rotate(client, new, outputs)

    def _rotate(self, client: Any, inputs: Values, outputs: Values) -> None:
        key = outputs["keyId"]
        if inputs.get("enableKeyRotation"):
            period = given(RotationPeriodInDays=inputs.get("rotationPeriodInDays"))
            called(key, lambda: client.enable_key_rotation(KeyId=key, **period))
        elif client.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]:
            called(key, lambda: client.disable_key_rotation(KeyId=key))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Schedule the deletion; the waiting period of 7 to 30 days passes at once here."""
        client, key = self.client(region), outputs["keyId"]
        days = int(inputs.get("deletionWindowInDays") or 30)
        if gone(lambda: client.schedule_key_deletion(KeyId=key, PendingWindowInDays=days), NONE):
            return
        self.moto.forget_key(region, key)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the key is there and not on its way out."""
        client, key = self.client(region), outputs["keyId"]
        if gone(lambda: client.describe_key(KeyId=key), NONE):
            return False
        return bool(client.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion")


class Alias(AwsHandler):
    """`aws:kms/alias:Alias`."""

    service = "kms"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the alias."""
        client, name = self.client(region), inputs["name"]
        target = inputs["targetKeyId"]
        called(f"creating KMS Alias ({name})", lambda: client.create_alias(AliasName=name, TargetKeyId=target))

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Point the alias at another key."""
        client, name = self.client(region), new["name"]
        called(name, lambda: client.update_alias(AliasName=name, TargetKeyId=new["targetKeyId"]))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the alias."""
        gone(lambda: self.client(region).delete_alias(AliasName=inputs["name"]), NONE)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the alias is there."""
        pages = self.client(region).get_paginator("list_aliases").paginate()
        return any(item["AliasName"] == inputs["name"] for page in pages for item in page["Aliases"])


HANDLERS: dict[str, type[AwsHandler]] = {"aws:kms/key:Key": Key, "aws:kms/alias:Alias": Alias}
