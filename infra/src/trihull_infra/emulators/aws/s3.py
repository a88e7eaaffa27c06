"""S3 buckets and the resources that hold the parts of their configuration."""

from typing import Any

from trihull_infra.emulators.aws.handler import AwsHandler, Values, document, given, pascal, tag_list
from trihull_infra.emulators.aws.moto import called, gone

NO_BUCKET = ("NoSuchBucket", "404")


class Bucket(AwsHandler):
    """`aws:s3/bucket:Bucket`."""

    service = "s3"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the bucket."""
        client, name = self.client(region), inputs["bucket"]
        place = None if region == "us-east-1" else {"LocationConstraint": region}
        arguments = given(CreateBucketConfiguration=place, ObjectLockEnabledForBucket=inputs.get("objectLockEnabled"))
        called(f"creating S3 Bucket ({name})", lambda: client.create_bucket(Bucket=name, **arguments))
        self._tag(client, name, outputs)

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change the tags: all else of a bucket is its own resources."""
        self._tag(self.client(region), new["bucket"], outputs)

    def _tag(self, client: Any, name: str, outputs: Values) -> None:
        tags = tag_list(outputs)
        if tags:
            called(name, lambda: client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags}))
        else:
            called(name, lambda: client.delete_bucket_tagging(Bucket=name))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the bucket; what is in it only with `forceDestroy`, else S3 refuses."""
        client, name = self.client(region), inputs["bucket"]
        if gone(lambda: client.head_bucket(Bucket=name), *NO_BUCKET):
            return
        if inputs.get("forceDestroy"):
            if client.get_bucket_versioning(Bucket=name).get("Status") == "Suspended":
                # moto answers 500 when a delete marker of a suspended bucket is deleted
                client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
            for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
                for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    client.delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])
        called(f"deleting S3 Bucket ({name})", lambda: client.delete_bucket(Bucket=name))

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the bucket is there."""
        return not gone(lambda: self.client(region).head_bucket(Bucket=inputs["bucket"]), *NO_BUCKET)


class BucketPart(AwsHandler):
    """One part of a bucket's configuration: a put, a delete and a get of the S3 API."""

    service = "s3"
    part = ""  # the part's name in boto3's methods: put_X, delete_X, get_X
    missing = ""  # S3's code when the bucket has no such part

    def arguments(self, inputs: Values) -> dict[str, Any]:
        """Return what `put_X` takes besides the bucket."""
        raise NotImplementedError

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Put the part."""
        put = getattr(self.client(region), f"put_{self.part}")
        called(
            f"S3 Bucket ({inputs['bucket']}) {self.part}",
            lambda: put(Bucket=inputs["bucket"], **self.arguments(inputs)),
        )

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Remove the part."""
        remove = getattr(self.client(region), f"delete_{self.part.removesuffix('_configuration')}")
        gone(lambda: remove(Bucket=inputs["bucket"]), *NO_BUCKET, self.missing)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the bucket has the part."""
        get = getattr(self.client(region), f"get_{self.part}")
        return not gone(lambda: get(Bucket=inputs["bucket"]), *NO_BUCKET, self.missing)


class Versioning(BucketPart):
    """`aws:s3/bucketVersioning:BucketVersioning`."""

    part = "bucket_versioning"

    def arguments(self, inputs: Values) -> dict[str, Any]:
        """Return the versioning state."""
        wanted = inputs["versioningConfiguration"]
        return {"VersioningConfiguration": given(Status=wanted["status"], MFADelete=wanted.get("mfaDelete"))}

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Set the state; `Disabled` is how a bucket begins."""
        if inputs["versioningConfiguration"]["status"] != "Disabled":
            super().create(region, inputs, outputs)

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Suspend: versioning that was on can never be taken off."""
        suspended = {"Status": "Suspended"}
        put = self.client(region).put_bucket_versioning
        gone(lambda: put(Bucket=inputs["bucket"], VersioningConfiguration=suspended), *NO_BUCKET)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the bucket is versioned as asked."""
        wanted = inputs["versioningConfiguration"]["status"]
        client = self.client(region)
        if gone(lambda: client.head_bucket(Bucket=inputs["bucket"]), *NO_BUCKET):
            return False
        return bool(wanted == "Disabled" or client.get_bucket_versioning(Bucket=inputs["bucket"]).get("Status"))


class Encryption(BucketPart):
    """`aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration`."""

    part, missing = "bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"

    def arguments(self, inputs: Values) -> dict[str, Any]:
        """Return the rules."""
        rules = []
        for rule in inputs["rules"]:
            default = rule.get("applyServerSideEncryptionByDefault") or {}
            by_default = given(SSEAlgorithm=default.get("sseAlgorithm"), KMSMasterKeyID=default.get("kmsMasterKeyId"))
            rules.append(
                given(
                    ApplyServerSideEncryptionByDefault=by_default or None, BucketKeyEnabled=rule.get("bucketKeyEnabled")
                )
            )
        return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


class PublicAccessBlock(BucketPart):
    """`aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock`."""

    part, missing = "public_access_block", "NoSuchPublicAccessBlockConfiguration"

    def arguments(self, inputs: Values) -> dict[str, Any]:
        """Return the four switches; absent means off."""
        names = ("blockPublicAcls", "ignorePublicAcls", "blockPublicPolicy", "restrictPublicBuckets")
        return {"PublicAccessBlockConfiguration": {pascal_name(name): bool(inputs.get(name)) for name in names}}


class OwnershipControls(BucketPart):
    """`aws:s3/bucketOwnershipControls:BucketOwnershipControls`."""

    part, missing = "bucket_ownership_controls", "OwnershipControlsNotFoundError"

    def arguments(self, inputs: Values) -> dict[str, Any]:
        """Return the one rule."""
        return {"OwnershipControls": {"Rules": [pascal(inputs["rule"])]}}


class Policy(BucketPart):
    """`aws:s3/bucketPolicy:BucketPolicy`."""

    part, missing = "bucket_policy", "NoSuchBucketPolicy"

    def arguments(self, inputs: Values) -> dict[str, Any]:
        """Return the policy as text."""
        return {"Policy": document(inputs["policy"])}


class Lifecycle(BucketPart):
    """`aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration`."""

    part, missing = "bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"

    def arguments(self, inputs: Values) -> dict[str, Any]:
        """Return the rules."""
        rules = [{"Filter": {"Prefix": ""}, **pascal(rule)} for rule in inputs["rules"]]
        return {"LifecycleConfiguration": {"Rules": rules}}


class Logging(BucketPart):
    """`aws:s3/bucketLogging:BucketLogging`."""

    part = "bucket_logging"

    def arguments(self, inputs: Values) -> dict[str, Any]:
        """Return where accesses are logged."""
        target = {"TargetBucket": inputs["targetBucket"], "TargetPrefix": inputs["targetPrefix"]}
        return {"BucketLoggingStatus": {"LoggingEnabled": target}}

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Put an empty state: S3 has no call that deletes it."""
        put = self.client(region).put_bucket_logging
        gone(lambda: put(Bucket=inputs["bucket"], BucketLoggingStatus={}), *NO_BUCKET)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether accesses are logged."""
        client = self.client(region)
        if gone(lambda: client.head_bucket(Bucket=inputs["bucket"]), *NO_BUCKET):
            return False
        return "LoggingEnabled" in client.get_bucket_logging(Bucket=inputs["bucket"])


def pascal_name(name: str) -> str:
    """Return a name as the S3 API spells it."""
    return name[:1].upper() + name[1:]


HANDLERS: dict[str, type[AwsHandler]] = {
    "aws:s3/bucket:Bucket": Bucket,
    "aws:s3/bucketVersioning:BucketVersioning": Versioning,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Encryption,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": PublicAccessBlock,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": OwnershipControls,
    "aws:s3/bucketPolicy:BucketPolicy": Policy,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Lifecycle,
    "aws:s3/bucketLogging:BucketLogging": Logging,
}
