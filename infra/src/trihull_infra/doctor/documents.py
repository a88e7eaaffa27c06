"""What lies beside an environment's file, and what lasts: releases, fleet, certificates, support of Kubernetes."""

import datetime
from collections.abc import Sequence
from typing import Final

from cryptography import x509

from trihull_infra import kubernetes_versions
from trihull_infra.cloud import Cloud
from trihull_infra.deploy.context import Documents
from trihull_infra.doctor import findings
from trihull_infra.doctor.findings import Finding
from trihull_infra.environment import Environment
from trihull_infra.errors import SpecError
from trihull_runtime.contract import ContractError, Release
from trihull_runtime.errors import TrihullError

# Authorities are replaced by hand (certificates.generation), which wants notice; leaves renew themselves at an `up`.
DAYS_WARNING: Final = 90
SUPPORT_WARNING: Final = 60  # an upgrade of a minor version is planned, not done in a night


def releases(documents: Documents) -> Sequence[Finding]:
    """Say whether something is chosen to be served, and whether what it names is here."""
    try:
        found = documents.read_releases()
    except SpecError as error:
        return [findings.warning("nothing is chosen to be served yet", findings.plain(error))]
    except ContractError as error:
        return [findings.failed(findings.plain(error), f"write it anew: `trihull release {documents.name} ...`")]
    problems = []
    for model, sites in sorted(found.models.items()):
        for path in sorted({chosen.path for chosen in sites.values()}):
            try:
                Release.read(documents.folder / path)
            except (TrihullError, OSError) as error:
                problems.append(f"{model}: {findings.plain(error)}")
    if problems:
        do = "package the model again (`trihull package`): the same inputs give the same release"
        return [findings.failed("; ".join(problems), do)]
    return [findings.ok(", ".join(sorted(found.models)) or "no model")]


def fleet(documents: Documents) -> Sequence[Finding]:
    """Say whether the fleet can be read, and which sites it has endpoints of."""
    try:
        found = documents.read_fleet()
    except ContractError as error:
        return [findings.failed(findings.plain(error), f"write it anew: `trihull fleet {documents.name}`")]
    if found is None:
        return [findings.not_asked("no fleet yet: the first `up` writes it")]
    up = [site.name for site in found.sites if site.endpoint is not None]
    return [findings.ok(f"endpoints of {', '.join(up)}" if up else "no site has an endpoint yet")]


def certificates(documents: Documents, now: datetime.datetime) -> Sequence[Finding]:
    """Say how long the sites' certificate authorities last."""
    try:
        found = documents.read_fleet()
    except ContractError:
        return [findings.not_asked("the fleet cannot be read")]
    seen = []
    for site in found.sites if found is not None else ():
        if site.ca_certificate is None:
            continue
        try:
            chain = x509.load_pem_x509_certificates(site.ca_certificate.encode())
        except ValueError as error:
            do = f"write the fleet anew: `trihull fleet {documents.name}`"
            seen.append(findings.failed(f"{site.name}: no certificate: {findings.plain(error)}", do))
            continue
        days = min((one.not_valid_after_utc - now).days for one in chain)
        do = "raise certificates.generation by one and bring everything up (docs/environments.md)"
        if days < 0:
            seen.append(findings.failed(f"{site.name}: its authority ended {-days} days ago", do))
        elif days < DAYS_WARNING:
            seen.append(findings.warning(f"{site.name}: its authority ends in {days} days", do))
        else:
            seen.append(findings.ok(f"{site.name}: {days} days left"))
    return seen or [findings.not_asked("no certificates yet")]


def support(environment: Environment, clouds: Sequence[Cloud], today: datetime.date) -> Sequence[Finding]:
    """Say how long each cloud supports the Kubernetes version, by dates that were looked up and may have moved."""
    version, seen = environment.kubernetes_version, []
    extended = environment.upgrades.support == "extended"
    do = "raise kubernetes_version, one minor version at a time"
    for cloud in clouds:
        found = kubernetes_versions.support(version).get(cloud)
        until = None if found is None else found.extended_until if extended else found.standard_until
        if until is None:
            seen.append(findings.not_asked(f"{cloud}: no date of {version} is known (data/kubernetes.toml)"))
            continue
        days = (until - today).days
        plan = f"{cloud}: {'extended' if extended else 'standard'} support of {version}"
        if days < 0:
            seen.append(findings.warning(f"{plan} ended on {until}", do))
        elif days < SUPPORT_WARNING:
            seen.append(findings.warning(f"{plan} ends on {until}, in {days} days", do))
        else:
            seen.append(findings.ok(f"{plan} until {until}"))
    return seen
