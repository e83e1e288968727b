"""Submission: what a job needs is prepared, then the workspace makes the job, once."""
