"""Images and evidence at rest: registries (here the OCI layout on disk) and, later, object stores."""
