"""Pipelines: jobs that depend on each other, each a run."""
