"""Imports what the container may not have."""

import yaml

from hello_container.whole import ENVIRONMENT, inspect, tracked, work

__all__ = ["ENVIRONMENT", "inspect", "tracked", "work", "yaml"]
