"""What was baked into the image of this container: environments that need not be built, and the uv that built them.

It has the shape of a cache folder, and nothing is ever written there by a run: layers of an image may be read-only.
"""

import os
from pathlib import Path

OVERRIDE = "ROBOTRAIN_BAKED"
FOLDER = Path("/opt/robotrain")


def place() -> Path:
    """The folder of the image that holds it, there or not; `ROBOTRAIN_BAKED` names another."""
    said = os.environ.get(OVERRIDE)
    return Path(said).expanduser() if said else FOLDER
