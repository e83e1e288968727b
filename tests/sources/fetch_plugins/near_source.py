"""A source that is fetched in the run's own environment."""

from far_source import fetch, preflight

__all__ = ["fetch", "preflight"]
