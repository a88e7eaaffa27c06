"""Keys on Google Cloud: a key ring with one key for each purpose, and the services' own agents that may use them.

Services use a key as an agent of theirs, an account of Google's in the project; each may use the key of its purpose and
no other. Sources, 2026-11-24: hashicorp/terraform-provider-google @e03b7622a26c, website/docs/r:
project_service_identity and logging_project_bucket_config. That nodes' disks are encrypted by Compute Engine's agent
and secrets by GKE's: GoogleCloudPlatform/cloud-foundation-fabric, modules/project/cmek.tf @cc24046be (2025-12-14), and
the address of Compute Engine's: service-agents.yaml beside it @275dd6a9e (2026-04-22); both on 2026-11-28.

Key rings and keys are never deleted and their names never free again. Unless `keys.keep` is false, the keys' versions
and the services' right to use them stay as well when nobody asks for them any more: what they encrypted is read by
them. Whoever knows that there is nothing left of that destroys the versions. A site that is made again needs other
names: `generation` in the environment (spec.py).
"""

from typing import Final

import pulumi
from pulumi_gcp import kms, logging, organizations, projects, storage

from trihull_infra import provider
from trihull_infra.provider import Purpose, Site
from trihull_infra.providers.gcp.spec import GcpSpec

DAY_S: Final = 24 * 3600
DESTROYED_AFTER_DAYS: Final = 30  # fixed at creation, so the same whether an environment is protected or not
USE: Final = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


class Keys(pulumi.ComponentResource):
    """The key ring, the keys, and who uses them; with an existing key only the latter, without own keys nothing."""

    def __init__(
        self, name: str, site: Site, network: provider.Network, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("trihull:keys:Keys", name, None, opts)
        assert isinstance(site.spec, GcpSpec)
        self.ring: kms.KeyRing | None = None
        self.keys: dict[Purpose, kms.CryptoKey] = {}
        self.agents: list[projects.ServiceIdentity] = []
        self.ids: dict[Purpose, pulumi.Output[str]] = {}
        self.uses: list[kms.CryptoKeyIAMMember] = []
        given = site.spec.existing.key
        if given is not None:
            self.ids = dict.fromkeys(Purpose, pulumi.Output.from_input(given))
        elif site.environment.keys.own:
            self._make(name, site, network)
            self.ids = {purpose: key.id for purpose, key in self.keys.items()}
        if self.ids:
            self.uses = [
                kms.CryptoKeyIAMMember(
                    f"{name}-{purpose}-use",
                    crypto_key_id=self.ids[purpose],
                    role=USE,
                    member=pulumi.Output.concat("serviceAccount:", agent),
                    opts=pulumi.ResourceOptions(
                        parent=self, retain_on_delete=given is None and site.environment.keys.keep
                    ),
                )
                for purpose, agent in self._users(name, site, network).items()
            ]
        self.register_outputs({"ids": {str(purpose): key for purpose, key in self.ids.items()}})

    def _make(self, name: str, site: Site, network: provider.Network) -> None:
        guarded = site.environment.protect
        self.ring = kms.KeyRing(
            f"{name}-ring",
            name=lasting_name(site),
            location=site.spec.region,
            # A name that changes would make another ring, and other keys with it.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[network.component],
                protect=guarded,
                retain_on_delete=site.environment.keys.keep,
                ignore_changes=["name"],
            ),
        )
        self.keys = {
            purpose: kms.CryptoKey(
                f"{name}-{purpose}",
                name=str(purpose),
                key_ring=self.ring.id,
                purpose="ENCRYPT_DECRYPT",
                rotation_period=f"{site.environment.keys.rotation_days * DAY_S}s",
                destroy_scheduled_duration=f"{DESTROYED_AFTER_DAYS * DAY_S}s",
                labels=site.labels,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    protect=guarded,
                    retain_on_delete=site.environment.keys.keep,
                    ignore_changes=["keyRing", "destroyScheduledDuration"],
                ),
            )
            for purpose in Purpose
        }

    def _users(self, name: str, site: Site, network: provider.Network) -> dict[Purpose, pulumi.Output[str]]:
        """Return the address of each service's agent; those that a project has only once asked for are asked for."""
        project = site.spec.account
        asked = pulumi.InvokeOutputOptions(parent=self, depends_on=[network.component])
        agents = {
            service: projects.ServiceIdentity(
                f"{name}-agent-{service}",
                project=project,
                service=f"{service}.googleapis.com",
                opts=pulumi.ResourceOptions(parent=self, depends_on=[network.component]),
            )
            for service in ("artifactregistry", "container")
        }
        self.agents = list(agents.values())
        number = organizations.get_project_output(project_id=project, opts=asked).number
        data = storage.get_project_service_account_output(project=project, opts=asked).email_address
        logs = logging.get_project_cmek_settings_output(project=project, opts=asked).service_account_id
        return {
            Purpose.SECRETS: agents["container"].email,
            Purpose.IMAGES: agents["artifactregistry"].email,
            Purpose.DATA: data,
            Purpose.DISKS: pulumi.Output.concat("service-", number, "@compute-system.iam.gserviceaccount.com"),
            Purpose.LOGS: logs,
        }


def lasting_name(site: Site) -> str:
    """Return the name of what Google Cloud keeps the name of after it is deleted."""
    assert isinstance(site.spec, GcpSpec)
    return site.name(str(site.spec.generation)) if site.spec.generation else site.name()


def keys(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Keys:
    """Make the keys that encrypt, one for each purpose, rotated; none where the cloud's own are wanted."""
    made = Keys("keys", site, network, opts)
    return provider.Keys(ids=made.ids, user=None, grants=made.uses, component=made)
