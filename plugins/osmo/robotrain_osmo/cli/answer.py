"""What a call of the `osmo` command came to."""

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to. code: the exit status, negative for a signal. overdue: it was killed at its time limit."""

    code: int
    out: str
    err: str
    overdue: bool = False

    def json(self) -> Any:
        """The JSON value in stdout; lines before it are skipped. Raises ValueError when there is none."""
        decoder = json.JSONDecoder()
        for found in re.finditer(r"^[ \t]*(?=[\[{])", self.out, re.MULTILINE):
            try:
                value, end = decoder.raw_decode(self.out, found.end())
            except ValueError:
                continue
            if not self.out[end:].strip():
                return value
        raise ValueError("it answered no JSON")
