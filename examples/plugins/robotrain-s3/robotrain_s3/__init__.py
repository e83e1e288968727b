"""Datasets in S3: a source kind for robotrain."""
