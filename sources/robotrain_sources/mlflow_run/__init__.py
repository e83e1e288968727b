"""A policy among the artifacts of a tracking run."""
