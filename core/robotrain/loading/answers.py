"""What the methods of a platform answer with, looked at before core relies on it.

Each raises TypeError or ValueError, and says what is due.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Mapping
from typing import Any, get_args

from robotrain.loading.guard import suitable


def plan(answer: Any) -> Any:
    """Of `render`."""
    from robotrain.plan import Plan

    found = suitable(answer, Plan, "a robotrain.plan.Plan")
    for path, content in found.files.items():
        if not isinstance(content, bytes):
            raise TypeError(f"the file {path} of its plan is a {type(content).__name__}, and bytes are due")
    if missing := [path for path in (found.spec, *found.shown) if path not in found.files]:
        raise ValueError(f"its plan names {missing[0]}, which is none of its files")
    return found


def reference(answer: Any) -> Any:
    """Of `submit`."""
    return _texts(answer, "a mapping of texts, the reference,")


def reference_or_none(answer: Any) -> Any:
    """Of `find`."""
    return None if answer is None else reference(answer)


def status(answer: Any) -> Any:
    """Of `status`."""
    from robotrain.run import State, Status

    found = suitable(answer, Status, "a robotrain.run.Status")
    if found.state not in get_args(State):
        raise ValueError(f"its state is {found.state!r}, and one of {', '.join(get_args(State))} is due")
    return found


def outputs(answer: Any) -> Any:
    """Of `outputs`."""
    from robotrain.run import Output

    return [suitable(one, Output, "a robotrain.run.Output") for one in answer]


def sources(answer: Any) -> Any:
    """Of `holds`."""
    from robotrain_runtime.document import Source

    return [suitable(one, Source, "a robotrain_runtime.document.Source") for one in answer]


def registered(answer: Any) -> Any:
    """Of `register`."""
    from robotrain_runtime.event import Registered

    return suitable(answer, Registered, "a robotrain_runtime.event.Registered")


def texts(answer: Any) -> Any:
    """Of `halves` and `shown`."""
    return _texts(answer, "a mapping of texts")


def defaults(answer: Any) -> Any:
    """Of `defaults` and `derived`."""
    from robotrain.platforms import Default

    found = suitable(answer, Mapping, "a mapping of names to robotrain.platforms.Default")
    return {name: suitable(one, Default, "a robotrain.platforms.Default") for name, one in found.items()}


def number(answer: Any) -> Any:
    """Of `forget`."""
    return suitable(answer, int, "a number of bytes")


def content(answer: Any) -> Any:
    """Of `sent`."""
    return suitable(answer, bytes, "bytes")


def line(answer: Any) -> Any:
    """Of `logs` and `prepare`."""
    return suitable(answer, str, "a text")


def anything(answer: Any) -> Any:
    """Of `cancel` and `bring`, which answer with nothing."""
    return answer


def _texts(answer: Any, due: str) -> Any:
    found = suitable(answer, Mapping, due)
    for one in (*found, *found.values()):
        if not isinstance(one, str):
            raise TypeError(f"the answer holds a {type(one).__name__}, and {due} is due")
    return found
