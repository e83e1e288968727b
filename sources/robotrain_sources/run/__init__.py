"""A policy that an earlier run trained."""
