"""The kit of each planet that is wrong, or rare. Not collected by itself: `test_kit_platform.py` runs of it what must
fail, or pass.
"""

from kit_planets import RIGHT, WRONG, kit_of, world
from robotrain.testing import harness

__all__ = ["world"]

harness.DEADLINE_SECONDS = 3.0  # for a log that never comes; a busy machine takes a second for a submit

globals().update({f"Test{name.title()}": kit_of(name) for name in (*WRONG, *RIGHT)})
