"""A function of LeRobot's that calls one of ours in its place.

The door that LeRobot lacks: its trainer takes no callbacks, and its loop calls functions of its own module.
"""

import functools
from collections.abc import Callable
from typing import Any


def wrap_attribute(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace `place.name` by a function that calls `wrapper` with the original first."""
    original_value = getattr(owner, name)

    @functools.wraps(original_value)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original_value, *args, **kwargs)

    setattr(owner, name, replacement)
