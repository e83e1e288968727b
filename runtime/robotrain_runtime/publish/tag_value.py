"""The text of a tag of a model's version, as long as a registry takes it."""

import hashlib

LONGEST = 256


def cut(value: str) -> str:
    """One that is too long ends with what identifies all of it."""
    if len(value) <= LONGEST:
        return value
    end = f"...sha256:{hashlib.sha256(value.encode()).hexdigest()[:16]}"
    return value[: LONGEST - len(end)] + end
