"""Checks before a submit; they change nothing."""
