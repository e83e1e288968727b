"""A file that holds one JSON object, as LeRobot keeps its configurations and descriptions. Standard library only."""

import json
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any]:
    """A JSON object. Raises OSError or ValueError with a sentence."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deep to be read") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, and holds a {type(found).__name__}")
    return found
