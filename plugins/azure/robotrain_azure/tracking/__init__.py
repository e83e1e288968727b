"""Tracking in an Azure ML workspace: the container plugin, and nothing else."""
