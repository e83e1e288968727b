"""A source that is fetched in the run's own environment."""

from pretend_far import fetch

__all__ = ["fetch"]
