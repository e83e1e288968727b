"""Starts of episodes in a few words: those of a thousand states are told by their number and digest."""

import hashlib
import json

LONGEST = 60


def shortly(starts: str) -> str:
    """As the person gave them, as long as a person would read them."""
    said = " ".join(starts.split())
    if len(said) <= LONGEST:
        return said
    return f"{_what(said)} (sha256:{hashlib.sha256(said.encode()).hexdigest()[:16]})"


def _what(said: str) -> str:
    try:
        found = json.loads(said)
    except ValueError:
        return "as given"
    return f"{len(found)} given states" if isinstance(found, list) else "given ranges"
