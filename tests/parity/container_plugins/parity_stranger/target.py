"""`shelf` as a place to write to: packed, and not run here."""

SOURCE = "parity_stranger.container"


def normal(address: str) -> str:
    return address if address.startswith("shelf://") else ""
