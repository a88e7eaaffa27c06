"""Policies of AWS as JSON, and the names of ARNs, where IAM, KMS and S3 have no resource of their own for them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Statement = Mapping[str, Any]


def document(*statements: Statement) -> str:
    """Return a policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: Sequence[str], resources: Sequence[str], **conditions: Mapping[str, Any]) -> Statement:
    """Return a statement that allows actions; `conditions` are IAM's operators with what they compare."""
    condition = {"Condition": conditions} if conditions else {}
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources), **condition}


def service_trust(service: str, *actions: str, account: str | None = None, source: str | None = None) -> str:
    """Return who may assume a role: one service of AWS, acting for `account` and the ARN `source` alone where given."""
    compared = {"aws:SourceAccount": account, "aws:SourceArn": source}
    given = {key: value for key, value in compared.items() if value is not None}
    condition = {"Condition": {"StringEquals": given}} if given else {}
    named = list(actions) or "sts:AssumeRole"
    return document({"Effect": "Allow", "Principal": {"Service": service}, "Action": named, **condition})


def tls_only(arn: str) -> Statement:
    """Return a statement of a bucket's policy: nobody comes without TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def recent_tls_only(arn: str) -> Statement:
    """Return a statement of a bucket's policy: nobody comes with TLS older than 1.2."""
    return {
        "Sid": "RecentTlsOnly",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    }


def partition(region: str) -> str:
    """Return the partition that a region is in: the second word of every ARN there."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def bucket_arn(region: str, name: str) -> str:
    """Return a bucket's ARN; it follows from the name, so it is known before the bucket is there."""
    return f"arn:{partition(region)}:s3:::{name}"


def managed(region: str, policy: str) -> str:
    """Return the ARN of a policy that AWS keeps for all accounts."""
    return f"arn:{partition(region)}:iam::aws:policy/{policy}"
