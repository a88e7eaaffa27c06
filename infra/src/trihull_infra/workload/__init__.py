"""What workloads of a site share; all but the device plugin meet the restricted Pod Security Standard."""

from trihull_infra.workload.agents import system_agents
from trihull_infra.workload.objects import (
    autoscaler,
    connect,
    disruption_budget,
    load_balancer,
    namespace,
    service_account,
    url,
)
from trihull_infra.workload.placement import priorities
from trihull_infra.workload.pods import (
    NAME_LABEL,
    TEMPORARY,
    USER,
    confined,
    fingerprint,
    image_reference,
    labels,
    metadata,
    part,
    pod,
    probe,
    resources,
    selector,
)
from trihull_infra.workload.policies import default_deny, network_policy

__all__ = [
    "NAME_LABEL",
    "TEMPORARY",
    "USER",
    "autoscaler",
    "confined",
    "connect",
    "default_deny",
    "disruption_budget",
    "fingerprint",
    "image_reference",
    "labels",
    "load_balancer",
    "metadata",
    "namespace",
    "network_policy",
    "part",
    "pod",
    "priorities",
    "probe",
    "resources",
    "selector",
    "service_account",
    "system_agents",
    "url",
]
