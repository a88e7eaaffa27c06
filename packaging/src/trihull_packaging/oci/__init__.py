"""Layers and documents of OCI images, with deterministic bytes."""
