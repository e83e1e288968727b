"""Whose fault it is that uv, or pip that fetches it, failed: told from its words."""

import re

from robotrain_runtime import faults
from robotrain_runtime.event import Fault

ANSWERED = r"status client error \(4(?!08|29)\d\d|Hash mismatch"
NETWORK = (
    r"Failed to fetch|error sending request|dns error|tcp connect error|error decoding response|response body error"
    r"|unexpected end of file|HTTP status server error|Max retries exceeded|NewConnectionError"
)


def of(words: str) -> Fault:
    """`disk_full`, `network`, or nothing: a server that answered with no is not the network's fault."""
    if re.search(ANSWERED, words):
        return ""
    return faults.of_text(words) or ("network" if re.search(NETWORK, words) else "")
