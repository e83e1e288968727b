"""Values in an engine's JSON answers. A value of another type than expected counts as absent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return an object; empty for anything else."""
    return value if isinstance(value, Mapping) else {}


def as_mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list; none for anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def as_text(value: object) -> str:
    """Return a text; empty for anything else."""
    return value if isinstance(value, str) else ""


def as_texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list; none for anything else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def as_int(value: object) -> int | None:
    """Return an integer, also one that is written as a text."""
    try:
        return int(value if isinstance(value, float) else str(value))
    except ValueError:
        return None


def as_number(value: object) -> float | None:
    """Return a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def parse_time(value: object) -> float | None:
    """Return the seconds since the epoch of a time in ISO form; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(as_text(value))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
