"""How much there is, as people read it."""

UNITS = ("kB", "MB", "GB", "TB")
"""The bytes of a disk that a download leaves free."""


def size(count: float) -> str:
    """Bytes as people read them."""
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min((len(f"{count:.0f}") - 1) // 3, len(UNITS))
    return f"{count / 1000**power:.1f} {UNITS[power - 1]}"
