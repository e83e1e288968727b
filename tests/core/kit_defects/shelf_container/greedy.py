"""Takes every address for one of its own."""

from shelf_container.placed import ENVIRONMENT, inspect, open

__all__ = ["ENVIRONMENT", "inspect", "normalize", "open"]


def normalize(address: str) -> str:
    return address
