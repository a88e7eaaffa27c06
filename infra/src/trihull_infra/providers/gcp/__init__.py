"""Google Cloud: GKE, Artifact Registry, Cloud Storage, IAM."""
