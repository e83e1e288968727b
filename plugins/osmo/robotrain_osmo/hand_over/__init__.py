"""Uploading, submitting, and finding again what was submitted."""
