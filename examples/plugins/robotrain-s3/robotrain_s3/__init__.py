"""Datasets in S3, and checkpoints written there: a source kind for robotrain."""
