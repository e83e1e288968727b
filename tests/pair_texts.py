"""Texts of names with values."""

import dataclasses
from typing import Any

from pydantic import TypeAdapter, ValidationError
from robotrain_runtime.contract.parameter import parse_pairs


def has_pairs(pairs_text: str) -> bool:
    """Return whether a text has the form of names with values."""
    try:
        parse_pairs(pairs_text)
    except ValueError:
        return False
    return True


def is_declared(settings: Any) -> bool:
    """Whether each setting has the form that it is declared with."""
    try:
        TypeAdapter(type(settings)).validate_python(dataclasses.asdict(settings))
    except ValidationError:
        return False
    return True
