"""What identifies data: its names, sizes and identities, whoever lists them and in whatever order."""

import hashlib
import json
from collections.abc import Iterable

from robotrain_sources.transfer.origin import Entry

LENGTH = 32


def of(entries: Iterable[Entry]) -> str:
    """The digest of `entries`, which come sorted by name: 32 hex digits."""
    found = hashlib.sha256()
    for entry in entries:
        found.update(json.dumps((entry.name, entry.size, entry.identity)).encode() + b"\n")
    return found.hexdigest()[:LENGTH]
