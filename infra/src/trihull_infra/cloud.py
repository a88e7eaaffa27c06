"""The clouds: one line per provider; the value is the name of its package (or file) under `providers/`."""

import enum


class Cloud(enum.StrEnum):
    """A cloud that a site can stand on."""

    AWS = "aws"
    GCP = "gcp"
    AZURE = "azure"
    KUBERNETES = "kubernetes"  # a cluster that is there already: on-premises, at the edge
