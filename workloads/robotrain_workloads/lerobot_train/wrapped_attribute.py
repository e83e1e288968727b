"""A function of LeRobot's that calls one of ours in its place."""

import functools
from collections.abc import Callable
from typing import Any


def wrap_attribute(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace `place.name` by a function that calls `wrapper` with the original first."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def replacement(*arguments: Any, **named: Any) -> Any:
        return wrapper(original, *arguments, **named)

    setattr(owner, name, replacement)
