"""The kubeconfig of a cluster that trihull made: no token in it, an exec plugin asks the cloud for one each time.

Of a cluster that was there before, `contexts.py` takes it out of the user's own.
Source: Kubernetes, "Organizing Cluster Access Using kubeconfig Files" and client-go's credential plugins.
"""

import json
from collections.abc import Sequence


def render(name: str, server: str, ca_certificate: str | None, command: str, arguments: Sequence[str]) -> str:
    """Return a kubeconfig as JSON (which is YAML).

    Args:
        name: the cluster's name, used for cluster, user and context.
        server: `https://host[:port]` of the API server.
        ca_certificate: its certificate authority, PEM in base64; None for a server that any machine trusts.
        command: the exec plugin that prints a token, found on PATH.
        arguments: what the plugin is started with.
    """
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": command,
        "args": list(arguments),
        "interactiveMode": "Never",
    }
    authority = {} if ca_certificate is None else {"certificate-authority-data": ca_certificate}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, **authority}}],
        "users": [{"name": name, "user": {"exec": plugin}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(document)
