"""The comparison of data with a job: modules that are only where jobs are sent from, to keep what jobs carry small."""

import importlib
from typing import Any

MODULE = ".".join((__name__.partition(".")[0], "lerobot_data_check", "comparison"))
"""Named in parts: what a module names as a whole is packed with it."""


def load_comparison() -> Any:
    """Return the module; None on the machine of a job."""
    try:
        return importlib.import_module(MODULE)
    except ModuleNotFoundError:
        return None
