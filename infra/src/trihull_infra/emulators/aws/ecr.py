"""ECR's control plane. The images themselves lie in an OCI layout (recorder/clouds/aws.py: `repositoryUrl`)."""

from trihull_infra.emulators.aws.handler import AwsHandler, Values, document, given, tag_list
from trihull_infra.emulators.aws.moto import called, gone

NONE = ("RepositoryNotFoundException", "LifecyclePolicyNotFoundException")


class Repository(AwsHandler):
    """`aws:ecr/repository:Repository`."""

    service = "ecr"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the repository."""
        encryption = next(iter(inputs.get("encryptionConfigurations") or []), None)
        arguments = given(
            imageTagMutability=inputs.get("imageTagMutability"),
            imageScanningConfiguration=inputs.get("imageScanningConfiguration"),
            encryptionConfiguration=encryption,
            tags=tag_list(outputs) or None,
        )
        name, client = inputs["name"], self.client(region)
        called(f"creating ECR Repository ({name})", lambda: client.create_repository(repositoryName=name, **arguments))

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change mutability, scanning and tags."""
        name, client = new["name"], self.client(region)
        mutability = new.get("imageTagMutability") or "MUTABLE"
        called(name, lambda: client.put_image_tag_mutability(repositoryName=name, imageTagMutability=mutability))
        scanning = new.get("imageScanningConfiguration") or {"scanOnPush": False}
        called(
            name,
            lambda: client.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration=scanning),
        )
        called(name, lambda: client.tag_resource(resourceArn=outputs["arn"], tags=tag_list(outputs)))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the repository."""
        force = bool(inputs.get("forceDelete"))
        gone(lambda: self.client(region).delete_repository(repositoryName=inputs["name"], force=force), *NONE)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the repository is there."""
        return not gone(lambda: self.client(region).describe_repositories(repositoryNames=[inputs["name"]]), *NONE)


class LifecyclePolicy(AwsHandler):
    """`aws:ecr/lifecyclePolicy:LifecyclePolicy`."""

    service = "ecr"

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Put the policy."""
        name, text, client = inputs["repository"], document(inputs["policy"]), self.client(region)
        called(
            f"ECR Repository ({name})",
            lambda: client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text),
        )

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Remove the policy."""
        gone(lambda: self.client(region).delete_lifecycle_policy(repositoryName=inputs["repository"]), *NONE)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the repository has a policy."""
        return not gone(lambda: self.client(region).get_lifecycle_policy(repositoryName=inputs["repository"]), *NONE)


HANDLERS: dict[str, type[AwsHandler]] = {
    "aws:ecr/repository:Repository": Repository,
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": LifecyclePolicy,
}
