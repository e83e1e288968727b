"""Copies on this machine of sources that the network does not give."""

from __future__ import annotations

import dataclasses
import importlib
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from robotrain.errors import Rejected, Suggestion
from robotrain.model.workload import FoundInput

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobSource

    from robotrain.submission.prepare import PreparedJob

CODES = ("pin-unknown", "source-missing", "source-unreachable")


def suggest_copies(rejected: Rejected, prepared: PreparedJob) -> Rejected:
    """Return the problems; the first one of each source that is not available suggests its copies here."""
    sources = {source.uri: source for source in prepared.job.sources}
    problems = []
    for problem in rejected.problems:
        source = sources.pop(problem.source or problem.given, None) if problem.code in CODES else None
        copies = tuple(_list_suggestions(source, prepared)) if source else ()
        problems.append(dataclasses.replace(problem, suggestions=copies + problem.suggestions) if copies else problem)
    return Rejected(problems, transient=rejected.transient)


def _list_suggestions(source: JobSource, prepared: PreparedJob) -> Iterator[Suggestion]:
    """Yield the options for the copies that the job's workload finds."""
    if not prepared.template:
        return
    module: Any = importlib.import_module(prepared.template)
    if (find := getattr(module, "find_copies", None)) is None:
        return
    for found in map(FoundInput._make, find(source.role, source.uri)):
        kind = prepared.kinds.get(found.kind)
        if kind and source.role in kind.roles and prepared.platform.capabilities.source(source.role, kind):
            words = [f"{kind.roles[source.role].flag} {_quote_path(found.text)}"]
            for name, value in found.parameters.items():
                flag = f"--{name.replace('_', '-')}"
                words.append(flag if value is True else f"{flag} {shlex.quote(str(value))}")
            yield Suggestion(" ".join(words), found.summary)


def _quote_path(text: str) -> str:
    """Return a path for a shell, which expands `~/`."""
    return f"~/{shlex.quote(text[2:])}" if text.startswith("~/") else shlex.quote(text)
