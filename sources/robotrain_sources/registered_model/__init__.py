"""A policy in a model registry, by name and version."""
