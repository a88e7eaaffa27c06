"""The engine's Kubernetes provider, bound to one context of the user's kubeconfig."""

import os

import pulumi
import pulumi_kubernetes as kubernetes

from trihull_infra import contexts
from trihull_infra.contexts import Context
from trihull_infra.provider import Site
from trihull_infra.providers.kubernetes.spec import KubernetesSpec


def asked(site: Site) -> KubernetesSpec:
    """Return what the environment says of this site."""
    spec = site.spec
    assert isinstance(spec, KubernetesSpec)
    return spec


def context(site: Site) -> Context:
    """Read the site's context; raises SpecError when it is not there."""
    spec = asked(site)
    paths = contexts.files(spec.kubeconfig, site.folder, os.environ)
    return contexts.extract(paths, spec.context, f"{site.environment.name}.yaml: clouds.{site.cloud}")


def connect(site: Site) -> pulumi.ProviderResource:
    """Make a provider that knows the environment's context and no other, whichever the user works with."""
    return kubernetes.Provider(
        "kubernetes", context=site.spec.account, kubeconfig=pulumi.Output.secret(context(site).kubeconfig)
    )
