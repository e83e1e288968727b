"""Says nothing of its data, nor of tracking."""

from hello_container.whole import ENVIRONMENT, work

__all__ = ["ENVIRONMENT", "work"]
