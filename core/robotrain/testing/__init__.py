"""Conformance kits for plugin authors: a base class of tests for each kind of plugin.

The kits need pytest: install `robotrain-core[testing]`.
"""

try:
    import pytest as pytest
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(f"{missing}: install robotrain-core[testing]", name=missing.name) from missing

from robotrain.testing.platform_bench import World
from robotrain.testing.platform_kit import PlatformKit
from robotrain.testing.source_kit import Served, SourceKit
from robotrain.testing.submit_cuts import interrupt_submits
from robotrain.testing.workload_kit import WorkloadKit

__all__ = ["PlatformKit", "Served", "SourceKit", "WorkloadKit", "World", "interrupt_submits"]
