"""What Azure says of what it refused."""

import re

WHOLE = (400, 409, 412, 422)
"""Answers about what was sent: the reason may stand in any sentence. Of other answers the rest is advice of Azure's."""


def of(text: str, status: int = 0) -> str:
    """In one line, without the last full stop. status: of the answer. It may hold what must not be shown."""
    said = " ".join(text.split())
    if status not in WHOLE:
        said = re.split(r"(?<=\.)\s", said, maxsplit=1)[0]
    return said.rstrip(". ") or "no reason was given"
