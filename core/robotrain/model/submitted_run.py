"""Runs that a platform has, whichever machine submitted them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain.model.reference import Reference
    from robotrain.model.run import RunState


class SubmittedRun(NamedTuple):
    """A run that a platform has, whichever machine submitted it."""

    document: bytes
    """Its job document; empty if there is none."""
    refer: Callable[[Job, Any], Reference]
    """Return the reference of the run by its job, of which the document is, and the platform's settings of that."""
    created: float | None = None
    """When it was submitted, in seconds since the epoch; None if that is not known."""


class ListedSubmission(NamedTuple):
    """A run as the engine lists it, whichever machine submitted it."""

    text: str
    """What `find_submitted` takes."""
    run: str
    """Its name where it was submitted."""
    state: RunState
    keys: Mapping[str, str]
    """Those entries of its reference that tell it from every other run of the platform; empty for a missing key."""
    created: float | None = None
    """When it was submitted, in seconds since the epoch; None if that is not known."""
    user: str = ""
    """Who submitted it, as the engine says."""
    can_be_adopted: bool = True
    """Whether `find_submitted` may have it: false for a pipeline or a sweep, as far as the list tells."""
