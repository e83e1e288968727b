"""Checks before a job is sent."""
