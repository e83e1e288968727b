"""Submission: from a request to a run that was submitted exactly once."""
