"""Takes every address for one of its own."""

from shelf_halves.placed import ENVIRONMENT, look, open

__all__ = ["ENVIRONMENT", "look", "normal", "open"]


def normal(address: str) -> str:
    return address
