"""While a platform makes a plan, what it reads of this machine is a deed: elsewhere, and later, it is not there."""

import dataclasses
import functools
import os
import sys
import zoneinfo
from collections.abc import Callable, Iterator
from importlib.machinery import all_suffixes
from inspect import getattr_static
from types import FunctionType
from typing import Any

import pytest

from robotrain.testing.bench import Bench
from robotrain.testing.still import Block

PURE = ("check", "render", "defaults", "derived", "halves")
CODE = tuple(all_suffixes())


def watch(bench: Bench, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a block hears what the platform's pure methods read, but for what is installed and what they are
    given the name of.
    """
    for name in PURE:
        method = getattr_static(type(bench.platform), name, None)
        if isinstance(method, FunctionType):
            monkeypatch.setattr(type(bench.platform), name, _heard(method, block))


def _heard(method: Callable[..., Any], block: Block) -> Callable[..., Any]:
    @functools.wraps(method)
    def heard(self: Any, *given: Any, **named: Any) -> Any:
        before, block.foreign = block.foreign, functools.partial(_is_foreign, _named([*given, *named.values()]))
        try:
            answer = method(self, *given, **named)
            return iter([*answer]) if isinstance(answer, Iterator) else answer  # a generator works when it is asked
        finally:
            block.foreign = before

    return heard


def _is_foreign(named: set[str], path: str) -> bool:
    """Whether a path is neither among those named nor of what is installed here."""
    if path.endswith(CODE) or _is_imported():
        return False
    real = os.path.realpath(path)
    return real not in named and not any(real == place or real.startswith(place + os.sep) for place in _installed())


def _named(given: Any) -> set[str]:
    """The paths that the texts of what a method is given may stand for."""
    return {os.path.realpath(os.path.expanduser(text)) for text in _texts(given) if "\0" not in text}


def _is_imported() -> bool:
    """Whether it is the import that reads: whatever finders find."""
    frame: Any = sys._getframe()
    while frame and frame.f_globals.get("__name__") in (__name__, Block.__module__):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")


def _installed() -> Iterator[str]:
    prefixes = (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    yield from (os.path.realpath(one) for one in (*prefixes, *filter(None, sys.path), *zoneinfo.TZPATH))


def _texts(one: Any) -> Iterator[str]:
    """Every text in something."""
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        one = [getattr(one, field.name) for field in dataclasses.fields(one)]
    if isinstance(one, str):
        yield one
    elif isinstance(one, (list, tuple)):
        for part in one:
            yield from _texts(part)
