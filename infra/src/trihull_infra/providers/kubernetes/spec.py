"""What an environment says of a cluster that is there already: on-premises, at the edge, or anybody's."""

from typing import ClassVar, Final

from pydantic import Field

from trihull_infra.spec.sites import SiteSpec

LABEL: Final = r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"


class KubernetesSpec(SiteSpec):
    """A site on a cluster that the user has: nothing is made but what serves."""

    account_key: ClassVar[str] = "context"

    context: str = Field(pattern=r"^[!-~]+$", description="the kubeconfig context of the only cluster to touch")
    kubeconfig: str | None = Field(
        default=None, description="the kubeconfig's path; KUBECONFIG or ~/.kube/config when left out"
    )
    registry: str = Field(
        pattern=r"^(oci-layout://.+|[^/:]+(:[0-9]+)?/.+)$", description="host/repository that its nodes pull from"
    )
    bucket: str = Field(pattern=r"^(s3|gs|az|file)://.+$", description="an s3:// gs:// az:// or file:// address")
    pull_secret: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
        description="a Secret of namespace trihull of type kubernetes.io/dockerconfigjson, for a registry that asks",
    )
    nodes: dict[str, str] = Field(
        default_factory=dict, description="labels of the nodes to run on, name to value; any node when left out"
    )
    load_balancer: dict[str, str] = Field(
        default_factory=dict, description="annotations of Services of type LoadBalancer, name to value"
    )

    @property
    def account(self) -> str:
        """Return the context: the only cluster that this site may touch."""
        return self.context

    def node_selector(self, pool: str) -> dict[str, str]:
        """Return the labels of the nodes that workloads run on; pools are not ours to name here."""
        return dict(self.nodes)

    @property
    def image_pull_secrets(self) -> tuple[str, ...]:
        """Return the Secret that pods pull images with, if the registry asks who pulls."""
        return () if self.pull_secret is None else (self.pull_secret,)

    @property
    def load_balancer_annotations(self) -> dict[str, str]:
        """Return what the cluster's own load balancer wants to be told."""
        return dict(self.load_balancer)


SPEC: Final = KubernetesSpec
