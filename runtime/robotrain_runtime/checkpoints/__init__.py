"""Checkpoints as files: copied atomically, located, recovered, and identified as models."""
