"""Runs are tracked in an Azure ML workspace: what the container needs for it, and nothing else."""
