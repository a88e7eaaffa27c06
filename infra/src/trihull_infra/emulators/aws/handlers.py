"""Every AWS type that moto carries out."""

from trihull_infra.emulators.aws import ecr, eks, iam, kms, logs, route53, s3
from trihull_infra.emulators.aws.handler import AwsHandler

HANDLERS: dict[str, type[AwsHandler]] = {
    **s3.HANDLERS,
    **ecr.HANDLERS,
    **eks.HANDLERS,
    **iam.HANDLERS,
    **kms.HANDLERS,
    **logs.HANDLERS,
    **route53.HANDLERS,
}
