"""The kit of each planet that is wrong. Not collected by itself: `test_kit_platform.py` runs what must fail here."""

from kit_planets import WRONG, kit_of, world
from robotrain.testing import in_time

__all__ = ["world"]

in_time.PATIENCE_SECONDS = 1.0  # for a log that never comes

globals().update({f"Test{name.title()}": kit_of(name) for name in WRONG})
