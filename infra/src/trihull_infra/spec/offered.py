"""What clouds offer, held against what an environment names: regions, Kubernetes versions, the emulators' accounts.

The tables of `data/` age: what is newer than they are is taken where a site repeats it under `unlisted`, so that a
misspelling is not.
"""

from collections.abc import Mapping

from trihull_infra import emulated, kubernetes_versions, regions
from trihull_infra.cloud import Cloud
from trihull_infra.spec.sites import ProvisionedSpec, SiteSpec
from trihull_infra.strict_yaml import suggestion

Problems = dict[tuple[str, ...], str]  # keys of the environment -> what to say


def problems(environment: str, version: str | None, sites: Mapping[Cloud, SiteSpec]) -> Problems:
    """Return what an environment names and its clouds do not have.

    Args:
        environment: its name.
        version: its Kubernetes version; None when that is not right by itself.
        sites: cloud -> what is asked of it.
    """
    found: Problems = {}
    for cloud, site in sites.items():
        listed = regions.REGIONS.get(cloud)
        if isinstance(site, ProvisionedSpec) and listed and site.region not in (*listed, *site.unlisted):
            found["clouds", cloud.value, "region"] = (
                f'expected a region of {cloud} (data/regions.toml), found "{site.region}"'
                f"{suggestion(site.region, list(listed)).removesuffix('?')}; a region that is newer than the table: "
                f"repeat it, `unlisted: [{site.region}]` in clouds.{cloud}"
            )
        account = emulated.ACCOUNTS.get(cloud)
        if environment == emulated.ENVIRONMENT and account is not None and site.account != account:
            found["clouds", cloud.value, site.account_key] = (
                f'expected "{account}", which is the emulators\' own: {environment} is emulated and touches no other, '
                f'found "{site.account}"; a real {site.account_key} belongs in an environment of another name'
            )
    if version is not None and (problem := _version(version, sites)) is not None:
        found["kubernetes_version",] = problem
    return found


def _version(version: str, sites: Mapping[Cloud, SiteSpec]) -> str | None:
    """Return what is wrong with a Kubernetes version; a cluster that is there already has its owner's."""
    provisioned = {cloud: site for cloud, site in sites.items() if isinstance(site, ProvisionedSpec)}
    lacking = [
        cloud
        for cloud, site in provisioned.items()
        if cloud in kubernetes_versions.CLOUDS
        and cloud not in kubernetes_versions.support(version)
        and version not in site.unlisted
    ]
    if not lacking:
        return None
    offered = kubernetes_versions.offered(list(provisioned))
    return (
        f"expected a version that every cloud of the environment offers, {', '.join(offered)} (data/kubernetes.toml), "
        f'found "{version}", which {" and ".join(lacking)} {"has" if len(lacking) == 1 else "have"} not; a version '
        f'that is newer than the table: repeat it, `unlisted: ["{version}"]` in clouds.{lacking[0]}'
    )
