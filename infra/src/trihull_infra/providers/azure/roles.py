"""Azure's built-in roles that trihull assigns, and assignments whose names follow from what they are.

Source of the ids: Azure documentation, "Azure built-in roles" (they are the same in every tenant), its page of
2026-04-09, looked up on 2026-11-23: MicrosoftDocs/azure-docs, articles/role-based-access-control/built-in-roles.md
@00a583295ba7.
"""

import uuid
from typing import Final

import pulumi
from pulumi_azure_native import authorization

from trihull_infra.provider import Site

ACR_PULL: Final = "7f951dda-4ed3-4680-a7ca-43fe172d538d"  # AcrPull
BLOB_READER: Final = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"  # Storage Blob Data Reader
CLUSTER_ADMINISTRATOR: Final = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"  # Azure Kubernetes Service RBAC Cluster Admin
IDENTITY_OPERATOR: Final = "f1a07417-d97a-45cb-824c-7a7467783830"  # Managed Identity Operator
NETWORK_CONTRIBUTOR: Final = "4d97b98b-1d4f-4787-a291-c67834d212e7"  # Network Contributor


def assign(
    name: str,
    site: Site,
    parent: pulumi.Resource,
    *,
    role: str,
    scope: pulumi.Input[str],
    principal: pulumi.Input[str],
    principal_type: str | None = "ServicePrincipal",
) -> authorization.RoleAssignment:
    """Give a principal a role on a scope.

    The assignment's name must be a UUID; it is made from environment and logical name, so that a crash leaves nothing
    that cannot be found. `principal_type` None lets Azure look it up (people and groups).
    """
    subscription = site.spec.account
    return authorization.RoleAssignment(
        name,
        role_assignment_name=str(uuid.uuid5(uuid.NAMESPACE_URL, f"trihull/{subscription}/{site.name()}/{name}")),
        role_definition_id=f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}",
        scope=scope,
        principal_id=principal,
        principal_type=principal_type,
        # Azure refuses to change an assignment, and its name stays the same.
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
