"""Looks, and cannot fetch."""

from shelf_halves.whole import preflight

__all__ = ["preflight"]
