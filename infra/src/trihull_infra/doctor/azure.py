"""What Azure says of the subscription: whose credentials, providers, quotas, offers, versions, the cluster. Plain REST.

Sources, looked up on 2026-11-24:
  Usage - List           learn.microsoft.com/rest/api/compute/usage/list (2024-07-01); `cores`, `lowPriorityCores` and
                         families as public tools read them; the family of a size comes from Resource Skus itself
  Resource Skus - List   learn.microsoft.com/rest/api/compute/resource-skus/list (2021-07-01): zones, restrictions
  Network usages         azure-rest-api-specs, Microsoft.Network, usage.json; three names of the quota of addresses are
                         in use, the first that is there counts
  Providers              azure-rest-api-specs, Microsoft.Resources: namespace, registrationState
  kubernetesVersions     learn.microsoft.com/rest/api/aks/managed-clusters/list-kubernetes-versions, supportPlan
  EncryptionAtHost       learn.microsoft.com/azure/aks/enable-host-encryption: the feature is registered once
No account was asked.
"""

import base64
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import azure.core.exceptions
import azure.identity
import requests

from trihull_infra import naming
from trihull_infra.doctor import findings, needs
from trihull_infra.doctor.findings import Finding
from trihull_infra.doctor.rest import Rest, RestError
from trihull_infra.doctor.seam import ApiServer, Asked
from trihull_infra.providers.azure.spec import AzureSpec

# What each login of the chain lacked is in the error already; logged as well it would stand between our lines.
logging.getLogger("azure").addHandler(logging.NullHandler())

MANAGEMENT: Final = "https://management.azure.com"
PROVIDERS: Final = (
    "Microsoft.Authorization",
    "Microsoft.Compute",
    "Microsoft.ContainerRegistry",
    "Microsoft.ContainerService",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
)
ADDRESSES: Final = ("IPv4StandardSkuPublicIpAddresses", "StandardSkuPublicIpAddresses", "PublicIPAddresses")
COMPUTE: Final = "2024-07-01"
SKUS: Final = "2021-07-01"
NETWORK: Final = "2023-11-01"
RESOURCES: Final = "2021-04-01"
FEATURES: Final = "2021-07-01"
AKS: Final = "2024-09-01"
_LOG_IN: Final = "log in: `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and what goes with them"


def _token() -> str:
    """Return a token for Azure's management API, of whichever login is found first."""
    with azure.identity.DefaultAzureCredential(process_timeout=20) as found:
        return found.get_token(f"{MANAGEMENT}/.default").token


def _rest() -> Rest:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {_token()}"
    return Rest(session, _base())


def _base() -> str:
    """Return the address of Azure's management API."""
    return MANAGEMENT


def _of(asked: Asked, path: str = "") -> str:
    return f"/subscriptions/{asked.spec.account}{path}"


def host(asked: Asked) -> str:
    """Return the URL of the management API."""
    return _base()


def credentials(asked: Asked) -> Sequence[Finding]:
    """Say who is logged in, whether the subscription is within reach, and whether it is an administrator."""
    assert isinstance(asked.spec, AzureSpec)
    claims = _claims(_token())
    who = claims.get("upn") or claims.get("unique_name") or claims.get("appid") or claims.get("oid") or "somebody"
    try:
        found = _rest().get(_of(asked), **{"api-version": "2020-01-01"})
    except RestError as error:
        if error.status in (403, 404):
            return [
                findings.failed(
                    f"{who} of tenant {claims.get('tid', '?')} does not reach subscription {asked.spec.account}",
                    "log in to its tenant (`az login --tenant ...`), or correct clouds.azure.subscription",
                )
            ]
        raise
    if found.get("state") != "Enabled":
        return [findings.failed(f"subscription {asked.spec.account} is {found.get('state')}", "have it enabled again")]
    seen = [findings.ok(f"{who} in {found.get('displayName', '')} ({asked.spec.account})")]
    if claims.get("oid") not in asked.spec.administrators:
        seen.append(
            findings.warning(
                f"{claims.get('oid', 'the login')} is none of clouds.azure.administrators; a group in it may hold it",
                "add the object id of whoever deploys, or of a group that holds it",
            )
        )
    return seen


def apis(asked: Asked) -> Sequence[Finding]:
    """Say which resource providers, and which feature, the subscription has not registered."""
    rest = _rest()
    pages = rest.pages(_of(asked, "/providers"), **{"api-version": RESOURCES})
    on = {str(one.get("namespace", "")).lower() for one in pages if one.get("registrationState") == "Registered"}
    off = [name for name in PROVIDERS if name.lower() not in on]
    seen = [findings.ok(f"all {len(PROVIDERS)} resource providers are registered")]
    if off:
        do = "; ".join(f"`az provider register --namespace {name}`" for name in off)
        seen = [findings.failed(f"not registered: {', '.join(off)}", do)]
    path = "/providers/Microsoft.Features/providers/Microsoft.Compute/features/EncryptionAtHost"
    feature = rest.get(_of(asked, path), **{"api-version": FEATURES}).get("properties", {}).get("state")
    if feature == "Registered":
        return [*seen, findings.ok("feature EncryptionAtHost is registered")]
    do = "`az feature register --namespace Microsoft.Compute --name EncryptionAtHost`, then the provider again"
    return [*seen, findings.failed(f"feature EncryptionAtHost is {feature or 'unknown'}: nodes need it", do)]


def quotas(asked: Asked) -> Sequence[Finding]:
    """Say whether vCPUs by family, of spot and in all, and public addresses are enough."""
    assert isinstance(asked.spec, AzureSpec)
    rest, region, up = _rest(), asked.spec.region, cluster(asked) is not None
    compute = _usages(rest, _of(asked, f"/providers/Microsoft.Compute/locations/{region}/usages"), COMPUTE)
    families = {name: str(sku.get("family", "")) for name, sku in _sizes(rest, asked).items()}
    wanted: Counter[str] = Counter()
    seen = []
    for need in needs.nodes(asked.environment, asked.cloud):
        size = need.types[0]
        if need.spot:  # one quota for all spot machines, whichever family
            wanted["lowPriorityCores"] += need.vcpus_all
        elif families.get(size):
            wanted[families[size]] += need.vcpus_all
            wanted["cores"] += need.vcpus_all
        else:
            seen.append(findings.not_asked(f"{need.pool}: {region} names no family of {size}"))
    seen += [_against(compute, (name,), vcpus, region, up) for name, vcpus in sorted(wanted.items())]
    if asked.spec.existing.network is None:
        network = _usages(rest, _of(asked, f"/providers/Microsoft.Network/locations/{region}/usages"), NETWORK)
        seen.append(_against(network, ADDRESSES, 1, region, up))  # of the NAT gateway
    return seen


def offers(asked: Asked) -> Sequence[Finding]:
    """Say which sizes the zones do not have, or this subscription may not use there."""
    sizes, zones = _sizes(_rest(), asked), asked.spec.zone_names
    seen = []
    for size in dict.fromkeys(need.types[0] for need in needs.nodes(asked.environment, asked.cloud)):
        had = _zones(sizes.get(size, {}), asked.spec.region)
        missing = [zone for zone in zones if zone not in had]
        if not missing:
            seen.append(findings.ok(f"{size} in zones {', '.join(zones)} of {asked.spec.region}"))
        elif len(missing) < len(zones):
            do = "choose zones that have it, or another machine class"
            seen.append(findings.warning(f"{size} is not to be had in zones {', '.join(missing)}", do))
        else:
            do = "choose another machine class or region, or ask Azure's support to lift the restriction"
            seen.append(findings.failed(f"{size} is to be had in none of zones {', '.join(zones)}", do))
    if asked.environment.pools.accelerator is not None and asked.spec.runs_already("device-plugin"):
        columns = r"NAME:.metadata.name,GPUS:.status.allocatable.nvidia\.com/gpu"
        do = f"once the site is up: `kubectl get nodes -l {naming.ACCELERATOR_LABEL} -o custom-columns='{columns}'`"
        seen.append(findings.not_asked("device_plugin: external: whether nodes offer nvidia.com/gpu is not ours", do))
    return seen


def versions(asked: Asked) -> Sequence[Finding]:
    """Say whether AKS has the Kubernetes version in the region, and under which plan of support."""
    version, region = asked.environment.kubernetes_version, asked.spec.region
    path = f"/providers/Microsoft.ContainerService/locations/{region}/kubernetesVersions"
    values = _rest().get(_of(asked, path), **{"api-version": AKS}).get("values", ())
    plans = {
        str(one.get("version")): one.get("capabilities", {}).get("supportPlan", ())
        for one in values
        if not one.get("isPreview")
    }
    wanted = "AKSLongTermSupport" if asked.environment.upgrades.support == "extended" else "KubernetesOfficial"
    if wanted in plans.get(version, ()):
        return [findings.ok(f"{version}: {wanted}")]
    had = ", ".join(sorted(name for name, supported in plans.items() if wanted in supported)) or "none"
    return [
        findings.failed(
            f"AKS in {region} has no {version} with {wanted}; it has {had}", "set kubernetes_version to one of them"
        )
    ]


def cluster(asked: Asked) -> ApiServer | None:
    """Return the AKS cluster's endpoint; who signed its certificate stands only in a kubeconfig."""
    assert isinstance(asked.spec, AzureSpec)
    ours = _of(asked, f"/resourceGroups/{asked.name}/providers/Microsoft.ContainerService/managedClusters/{asked.name}")
    try:
        found = _rest().get(asked.spec.existing.cluster or ours, **{"api-version": AKS}).get("properties", {})
    except RestError as error:
        if error.status == 404:
            return None
        raise
    name = found.get("fqdn") or found.get("privateFQDN")
    return ApiServer(str(name), 443, None) if name else None


def problem(error: Exception) -> Finding:
    """Say what an error of azure-identity, requests or the API means."""
    text = findings.plain(error)
    if isinstance(
        error, azure.core.exceptions.ServiceRequestError | requests.exceptions.ConnectionError | requests.Timeout
    ):
        return findings.failed(f"Azure is not reached: {text}", "check network, proxy (HTTPS_PROXY) and firewall")
    if isinstance(error, azure.core.exceptions.ClientAuthenticationError | azure.identity.CredentialUnavailableError):
        return findings.failed(f"no credentials for Azure: {text}", _LOG_IN)
    if isinstance(error, RestError):
        if error.status == 401:
            return findings.failed(f"Azure refuses the credentials: {text}", _LOG_IN)
        if error.status == 403:
            return findings.warning(f"not allowed to ask: {text}", "grant the role Reader, or ask who may")
        if error.status == 404:
            return findings.failed(f"not there: {text}", "check clouds.azure.subscription and region")
    return findings.failed(f"{type(error).__name__}: {text}", "look into the message")


def _claims(token: str) -> Mapping[str, Any]:
    """Return what a token says of its holder: read, not verified, and never printed as a whole."""
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _sizes(rest: Rest, asked: Asked) -> dict[str, Mapping[str, Any]]:
    """Return the sizes of virtual machines in the region, by name."""
    only = f"location eq '{asked.spec.region}'"
    pages = rest.pages(_of(asked, "/providers/Microsoft.Compute/skus"), **{"api-version": SKUS, "$filter": only})
    return {str(one.get("name")): one for one in pages if one.get("resourceType") == "virtualMachines"}


def _zones(sku: Mapping[str, Any], region: str) -> set[str]:
    """Return the zones in which this subscription may use a size."""
    had = {zone for one in sku.get("locationInfo", ()) for zone in one.get("zones", ())}
    for restriction in sku.get("restrictions", ()):
        if restriction.get("type") == "Location":
            where = [str(one).lower() for one in restriction.get("values", ())]
            had = set() if region in where else had
        elif restriction.get("type") == "Zone":
            had -= set(restriction.get("restrictionInfo", {}).get("zones", ()))
    return had


def _usages(rest: Rest, path: str, version: str) -> dict[str, Mapping[str, Any]]:
    """Return usages by name in lower case: Azure spells families differently from list to list."""
    pages = rest.pages(path, **{"api-version": version})
    return {str(one.get("name", {}).get("value", "")).lower(): one for one in pages}


def _against(
    usages: Mapping[str, Mapping[str, Any]], names: Sequence[str], need: float, region: str, up: bool
) -> Finding:
    found = next((usages[name.lower()] for name in names if name.lower() in usages), None)
    if found is None:
        return findings.not_asked(f"{names[0]} of {region}: Azure tells no such quota; {need:g} are needed")
    name = found.get("name", {})
    label = name.get("localizedValue") or name.get("value")
    do = "ask for more in the portal: Quotas, or `az quota update`"
    limit, used = float(found.get("limit", 0)), float(found.get("currentValue", 0))
    return findings.compare(f"{label} ({region})", need, limit, used, do, up=up)
