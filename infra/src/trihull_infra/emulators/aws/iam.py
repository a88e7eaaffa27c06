"""IAM roles, policies, and what binds them. IAM is global: its region is always us-east-1."""

import contextlib
from typing import Any

from trihull_infra.emulators.aws.handler import AwsHandler, Values, document, given, tag_list
from trihull_infra.emulators.aws.moto import called, gone

NONE = "NoSuchEntity"


class IamHandler(AwsHandler):
    """A handler of the one, global IAM."""

    service = "iam"

    def client(self, region: str) -> Any:
        """Return the client of IAM, whatever the region."""
        return super().client("us-east-1")


class Role(IamHandler):
    """`aws:iam/role:Role`."""

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the role."""
        name, client = inputs["name"], self.client(region)
        arguments = given(
            AssumeRolePolicyDocument=document(inputs["assumeRolePolicy"]),
            Path=inputs.get("path"),
            Description=inputs.get("description"),
            MaxSessionDuration=inputs.get("maxSessionDuration"),
            PermissionsBoundary=inputs.get("permissionsBoundary"),
            Tags=tag_list(outputs) or None,
        )
        called(f"creating IAM Role ({name})", lambda: client.create_role(RoleName=name, **arguments))

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change who may assume the role, its description and its tags."""
        name, client = new["name"], self.client(region)
        text = document(new["assumeRolePolicy"])
        called(name, lambda: client.update_assume_role_policy(RoleName=name, PolicyDocument=text))
        arguments = given(Description=new.get("description"), MaxSessionDuration=new.get("maxSessionDuration"))
        called(name, lambda: client.update_role(RoleName=name, **arguments))
        called(name, lambda: client.tag_role(RoleName=name, Tags=tag_list(outputs)))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the role; IAM refuses while policies are attached, unless `forceDetachPolicies`."""
        name, client = inputs["name"], self.client(region)
        if gone(lambda: client.get_role(RoleName=name), NONE):
            return
        if inputs.get("forceDetachPolicies"):
            for policy in client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
                client.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
            for inline in client.list_role_policies(RoleName=name)["PolicyNames"]:
                client.delete_role_policy(RoleName=name, PolicyName=inline)
        called(f"deleting IAM Role ({name})", lambda: client.delete_role(RoleName=name))

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the role is there."""
        return not gone(lambda: self.client(region).get_role(RoleName=inputs["name"]), NONE)


class RolePolicyAttachment(IamHandler):
    """`aws:iam/rolePolicyAttachment:RolePolicyAttachment`."""

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Attach; IAM refuses a policy that does not exist."""
        role, policy, client = inputs["role"], inputs["policyArn"], self.client(region)
        called(
            f"attaching {policy} to IAM Role ({role})",
            lambda: client.attach_role_policy(RoleName=role, PolicyArn=policy),
        )

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Detach."""
        names = {"RoleName": inputs["role"], "PolicyArn": inputs["policyArn"]}
        gone(lambda: self.client(region).detach_role_policy(**names), NONE)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the policy is attached."""
        client = self.client(region)
        if gone(lambda: client.get_role(RoleName=inputs["role"]), NONE):
            return False
        pages = client.get_paginator("list_attached_role_policies").paginate(RoleName=inputs["role"])
        return any(item["PolicyArn"] == inputs["policyArn"] for page in pages for item in page["AttachedPolicies"])


class RolePolicy(IamHandler):
    """`aws:iam/rolePolicy:RolePolicy`."""

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Put the policy into the role."""
        role, name, text = inputs["role"], inputs["name"], document(inputs["policy"])
        client = self.client(region)
        put = {"RoleName": role, "PolicyName": name, "PolicyDocument": text}
        called(f"IAM Role ({role}) policy {name}", lambda: client.put_role_policy(**put))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Take the policy out of the role."""
        names = {"RoleName": inputs["role"], "PolicyName": inputs["name"]}
        gone(lambda: self.client(region).delete_role_policy(**names), NONE)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the role has the policy."""
        names = {"RoleName": inputs["role"], "PolicyName": inputs["name"]}
        return not gone(lambda: self.client(region).get_role_policy(**names), NONE)


class Policy(IamHandler):
    """`aws:iam/policy:Policy`."""

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the policy."""
        name, client = inputs["name"], self.client(region)
        arguments = given(
            Path=inputs.get("path"), Description=inputs.get("description"), Tags=tag_list(outputs) or None
        )
        text = document(inputs["policy"])
        called(
            f"creating IAM Policy ({name})",
            lambda: client.create_policy(PolicyName=name, PolicyDocument=text, **arguments),
        )

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Make a new default version and drop the older ones: IAM keeps five at most."""
        client, arn = self.client(region), outputs["arn"]
        text = document(new["policy"])
        called(arn, lambda: client.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True))
        self._drop_versions(client, arn)

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the policy with its versions; IAM refuses while it is attached."""
        client, arn = self.client(region), outputs["arn"]
        if gone(lambda: client.get_policy(PolicyArn=arn), NONE):
            return
        self._drop_versions(client, arn)
        called(f"deleting IAM Policy ({arn})", lambda: client.delete_policy(PolicyArn=arn))

    def _drop_versions(self, client: Any, arn: str) -> None:
        for version in client.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                with contextlib.suppress(client.exceptions.NoSuchEntityException):
                    client.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the policy is there."""
        return not gone(lambda: self.client(region).get_policy(PolicyArn=outputs["arn"]), NONE)


class OpenIdConnectProvider(IamHandler):
    """`aws:iam/openIdConnectProvider:OpenIdConnectProvider`."""

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make the provider; IAM finds out the issuer's certificates where none are given."""
        url, client = inputs["url"], self.client(region)
        arguments = given(
            ClientIDList=inputs["clientIdLists"],
            ThumbprintList=inputs.get("thumbprintLists") or None,
            Tags=tag_list(outputs) or None,
        )
        called(
            f"creating IAM OIDC Provider ({url})", lambda: client.create_open_id_connect_provider(Url=url, **arguments)
        )

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change the tags; moto knows no change of audiences."""
        client, arn = self.client(region), outputs["arn"]
        tags = tag_list(outputs)
        called(arn, lambda: client.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=tags))

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """Delete the provider."""
        client, arn = self.client(region), outputs["arn"]
        gone(lambda: client.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn), NONE)

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether the provider is there."""
        client, arn = self.client(region), outputs["arn"]
        return not gone(lambda: client.get_open_id_connect_provider(OpenIDConnectProviderArn=arn), NONE)


HANDLERS: dict[str, type[AwsHandler]] = {
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": OpenIdConnectProvider,
    "aws:iam/role:Role": Role,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": RolePolicyAttachment,
    "aws:iam/rolePolicy:RolePolicy": RolePolicy,
    "aws:iam/policy:Policy": Policy,
}
