"""Pictures of a megabyte come and go with each step. A C library that gives such memory back, and asks for it anew,
spends a third of the time in which an environment is drawn on that.
"""

import ctypes
from contextlib import suppress

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT, LARGEST = 256 << 20, 64 << 20


def keep() -> None:
    """Have it kept, here and in processes that begin from here on. Other C libraries than GNU's do as they do."""
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST)
        library.mallopt(TRIM_THRESHOLD, KEPT)
