"""The words of an answer that says why not, without what the command, the service and their libraries put around."""

import json
import re
from typing import Any

from robotrain_osmo.cli.command import Answer

_FIELD = r"^([\w.\[\]-]+)\n\s+(.+?)(?: \[type=.*)?$"
_FRAMED = r"Error message:\s*(.*?)(?:\nError code: .*)?\Z"
_BODY = r"Status Code: \d+\nHeader:\n.*?\nBody:\n(.*)"
_NOISE = r"^(?:Server responded with status code \d+|Traceback .*|\s.*|WARNING: .*|Current version: .*|Please .*)?$"


def of(answer: Answer) -> str:
    """What the command said; errors are on stdout, those of its own grammar on stderr."""
    said = _said(answer.out.strip())
    return said or answer.err.strip()


def status(answer: Answer) -> int:
    """The HTTP status that the error carries; 0 for none."""
    found = re.search(r"Status Code: (\d{3})\b", answer.out) or re.search(r"^Error code: (\d{3})$", answer.out, re.M)
    return int(found[1]) if found else _code(answer)


def body(text: str) -> str:
    """Without the headers that the command shows of an answer, and out of the JSON it has in its body."""
    found = re.search(_BODY, text, re.DOTALL)
    return _said(found[1].strip()) if found else text


def first_line(text: str) -> str:
    """The first line that is about the matter; of a Python traceback its last, of a web page nothing."""
    lines = [line.strip() for line in body(text).splitlines()]
    if any(line.startswith("Traceback ") for line in lines) and not (lines[0] and "Traceback" not in lines[0]):
        return lines[-1]
    said = next((line for line in body(text).splitlines() if not re.match(_NOISE, line)), lines[0] if lines else "")
    return "" if said.startswith("<") else said.removeprefix("Internal server error: ")


def fields(text: str) -> list[str]:
    """`the field: what is wrong with it`, for each that a validation refused, without a value."""
    try:
        details = json.loads(text)["detail"]
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details]
    except (ValueError, KeyError, TypeError):
        return [f"{_place(place)}: {why.rstrip('.')}" for place, why in re.findall(_FIELD, text, re.MULTILINE)]


def _place(path: str) -> str:
    """`workflow.tasks.0.image` as people say it."""
    return re.sub(r"^workflow\.(?:groups\.\d+\.)?(?:tasks\.\d+\.)?", "", path)


def _said(text: str) -> str:
    """The message in a text that is JSON, or framed; else the text."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        framed = re.search(_FRAMED, text, re.DOTALL)
        return framed[1].strip() if framed else text
    said = value.get("message") if isinstance(value, dict) else None
    return said.strip() if isinstance(said, str) else text


def _code(answer: Answer) -> int:
    try:
        code = answer.json()["code"]
    except (ValueError, KeyError, TypeError):
        return 0
    return code if isinstance(code, int) and code >= 100 else 0
