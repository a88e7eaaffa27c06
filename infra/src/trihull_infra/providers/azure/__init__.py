"""Azure: AKS, Container Registry, Blob Storage, managed identities."""
