"""The kit of each faulty or unusual platform, not collected by itself: `test_kit_faults.py` chooses tests of it."""

from kit_platform_faults import RIGHT, WRONG, make_kit, world
from robotrain.testing import harness

__all__ = ["world"]

harness.DEADLINE_SECONDS = 3.0  # for a log that never comes; a busy machine takes a second for a submit

globals().update({f"Test{name}": make_kit(name) for name in (*WRONG, *RIGHT, "Sample")})
