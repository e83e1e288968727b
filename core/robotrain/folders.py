"""The folders robotrain keeps things in: the user's own state and cache folders, or where the environment says."""

import os
from pathlib import Path

DOTENV = (".env.local", ".env")
"""Files of the working folder that settings are read from, the stronger first."""


def state() -> Path:
    """Records of runs and what belongs to them: `ROBOTRAIN_STATE`, else the user's state folder."""
    return _folder("ROBOTRAIN_STATE", "user_state_path")


def cache() -> Path:
    """What can be made again: `ROBOTRAIN_CACHE`, else the user's cache folder."""
    return _folder("ROBOTRAIN_CACHE", "user_cache_path")


def _folder(name: str, default: str) -> Path:
    if said := os.environ.get(name):
        return Path(os.path.abspath(os.path.expanduser(said)))
    import platformdirs

    return Path(getattr(platformdirs, default)("robotrain", appauthor=False))
