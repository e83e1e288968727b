"""Policies and checkpoints that MLflow knows: versions of registered models, and artifacts of runs."""
