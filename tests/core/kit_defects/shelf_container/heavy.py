"""Imports what the container may not have."""

import yaml

from shelf_container.whole import fetch, preflight

__all__ = ["fetch", "preflight", "yaml"]
