"""What a test of fetching stands on: a place on this machine that really holds the files of a source."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Served:
    """A source that can be fetched here and now, as the author's fixture `served` brings it up.

    text: what is typed. files: what is there, by path. role: what it is fetched for. missing: a text that names nothing
    there. cut: within this block the connection breaks in the middle. change: puts other content in its place. python:
    that of the environment the half declares. place: further fields of `robotrain_runtime.half.Place`.
    """

    text: str
    files: Mapping[str, bytes]
    role: str = "dataset"
    missing: str = ""
    cut: Callable[[], AbstractContextManager[object]] | None = None
    change: Callable[[], object] | None = None
    python: Path | None = None
    place: Mapping[str, Any] = field(default_factory=dict)
