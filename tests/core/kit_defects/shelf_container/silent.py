"""Looks, and cannot fetch."""

from shelf_container.whole import preflight

__all__ = ["preflight"]
