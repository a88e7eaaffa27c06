"""Azure's built-in roles that trihull assigns, and assignments whose names follow from what they are.

Sources of the ids (they are the same in every tenant): Azure documentation, "Azure built-in roles", its page of
2026-04-09, MicrosoftDocs/azure-docs, articles/role-based-access-control/built-in-roles.md @00a583295ba7, looked up on
2026-11-23 and 2026-11-24. Those of Key Vault: built-in-roles/security.md @03e5750af10b (page of 2026-02-23), looked up
on 2026-11-24.
"""

import uuid
from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_azure_native import authorization

from trihull_infra.provider import Site

ACR_PULL: Final = "7f951dda-4ed3-4680-a7ca-43fe172d538d"  # AcrPull
ACR_PUSH: Final = "8311e382-0749-4cb8-b61a-304f252e45ec"  # AcrPush, which pulls as well
BLOB_CONTRIBUTOR: Final = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"  # Storage Blob Data Contributor
BLOB_READER: Final = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"  # Storage Blob Data Reader
CLUSTER_ADMINISTRATOR: Final = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"  # Azure Kubernetes Service RBAC Cluster Admin
CLUSTER_USER: Final = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"  # Azure Kubernetes Service Cluster User Role
IDENTITY_OPERATOR: Final = "f1a07417-d97a-45cb-824c-7a7467783830"  # Managed Identity Operator
KEY_ENCRYPTION_USER: Final = "e147488a-f6f5-4113-8e2d-b22465e65bf6"  # Key Vault Crypto Service Encryption User
KEY_USER: Final = "12338af0-0e69-4776-bea7-57ae8d297424"  # Key Vault Crypto User
NETWORK_CONTRIBUTOR: Final = "4d97b98b-1d4f-4787-a291-c67834d212e7"  # Network Contributor
READER: Final = "acdd72a7-3385-48ef-bd42-f606fba81ae7"  # Reader

_BLOBS: Final = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
READ: Final = f"{_BLOBS}/read"
WRITE: Final = (f"{_BLOBS}/write", f"{_BLOBS}/add/action")


def reading_below(prefix: str) -> str:
    """Return the condition under which an assignment reads and lists blobs below a prefix, and no others.

    Source of the form: Azure documentation, "Example Azure role assignment conditions for Blob Storage",
    MicrosoftDocs/azure-docs articles/storage/blobs/storage-auth-abac-examples.md @0085f2c2fd72, on 2026-11-24.
    """
    read = f"(!(ActionMatches{{'{READ}'}} AND NOT SubOperationMatches{{'Blob.List'}}))"
    listed = f"(!(ActionMatches{{'{READ}'}} AND SubOperationMatches{{'Blob.List'}}))"
    return (
        f"({read} OR (@Resource[{_BLOBS}:path] StringStartsWith '{prefix}'))"
        f" AND ({listed} OR (@Request[{_BLOBS}:prefix] StringStartsWith '{prefix}'))"
    )


def writing_below(prefix: str) -> str:
    """Return the condition under which an assignment writes blobs below a prefix, and no others; source as above."""
    acts = " AND ".join(f"!(ActionMatches{{'{action}'}})" for action in WRITE)
    return f"(({acts}) OR (@Resource[{_BLOBS}:path] StringStartsWith '{prefix}'))"


def stable_uuid(site: Site, name: str) -> str:
    """Return the UUID of something of a site; it follows from its name, so a crash leaves nothing that is not found."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"trihull/{site.spec.account}/{site.name()}/{name}"))


def assign(
    name: str,
    site: Site,
    parent: pulumi.Resource,
    *,
    role: str,
    scope: pulumi.Input[str],
    principal: pulumi.Input[str],
    principal_type: str | None = "ServicePrincipal",
    condition: str | None = None,
    after: Sequence[pulumi.Resource] = (),
    kept: bool = False,
) -> authorization.RoleAssignment:
    """Give a principal a role on a scope, under a condition where one is given.

    The assignment's name is a UUID made from environment and logical name. `principal_type` None lets Azure look it up
    (people and groups); `kept` leaves the assignment where it is when nobody asks for it any more. Of an assignment
    Azure lets condition and description be edited, nothing else: "Add or edit Azure role assignment conditions using
    the REST API", MicrosoftDocs/azure-docs
    articles/role-based-access-control/conditions-role-assignments-rest.md @10b1ce7a1dd3, on 2026-11-24.
    """
    subscription = site.spec.account
    return authorization.RoleAssignment(
        name,
        role_assignment_name=stable_uuid(site, name),
        role_definition_id=f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}",
        scope=scope,
        principal_id=principal,
        principal_type=principal_type,
        condition=condition,
        condition_version=None if condition is None else "2.0",
        # Azure refuses to change an assignment, and its name stays the same.
        opts=pulumi.ResourceOptions(
            parent=parent, delete_before_replace=True, depends_on=list(after), retain_on_delete=kept
        ),
    )
