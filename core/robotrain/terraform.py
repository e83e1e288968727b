"""Terraform's outputs as a layer of settings: read once, and only when a value is still missing."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import functools
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.provenance import Origin, Value
from robotrain.redaction import redact
from robotrain.terraform_output import Outputs, Unread, read
from robotrain.terraform_place import OFF, SETTING, find, shown

if TYPE_CHECKING:
    from robotrain_runtime.parameter import Parameter

    from robotrain.layers import NameLayer
    from robotrain.project import Project

LAYER = "terraform"
_failed: dict[Path, Unread] = {}
"""What was not read, of this process: what took its whole time limit, or asks for a sign-in, would do so again."""


class _Found(NamedTuple):
    """What reading came to. place: the folder as it is shown. unread: what kept it from being read."""

    place: str = ""
    outputs: Outputs = Outputs({}, frozenset())
    unread: Unread | None = None
    wrong: tuple[Problem, ...] = ()


class Terraform:
    """The outputs that count for one request; nothing is looked for before a setting asks for one."""

    def __init__(self, names: Sequence[NameLayer], project: Project | None, folder: Path) -> None:
        self._names = names
        self._project = project
        self._folder = folder
        self._asked: list[Parameter] = []
        self._beside: list[Parameter] = []

    def __call__(self, parameter: Parameter) -> Value | None:
        """The value of the output that a parameter names; None for one that is no text, number or switch."""
        if not parameter.param.terraform:
            return None
        self._asked.append(parameter)
        return self._value(parameter.param.terraform)

    def beside(self, parameter: Parameter) -> Value | None:
        """The same for one that is no reason to read the outputs: None when nothing else asked for them."""
        if not parameter.param.terraform or not self._asked:
            return None
        self._beside.append(parameter)
        return self._value(parameter.param.terraform)

    def problems(self) -> Iterator[Problem]:
        """What kept it from answering, for all the settings that asked."""
        if not self._asked:
            return
        found = self._found
        yield from found.wrong
        if found.unread:
            yield _unread(found.place, found.unread, self._asked)
        for parameter in (*self._asked, *self._beside):
            name = parameter.param.terraform.partition(".")[0]
            if name in found.outputs.hidden:
                yield _sensitive(found.place, name, parameter)

    @functools.cached_property
    def _found(self) -> _Found:
        try:
            folder = find(self._names, self._project, self._folder)
        except Rejected as rejected:
            return _Found(wrong=rejected.problems)
        if folder is None:
            return _Found()
        try:
            return _Found(shown(folder), _read(folder))
        except Unread as unread:
            return _Found(shown(folder), unread=unread)

    def _value(self, path: str) -> Value | None:
        text = _text(self._found.outputs.values, path)
        return Value(text, Origin(LAYER, f"{self._found.place} {path}")) if text else None


def _read(folder: Path) -> Outputs:
    """The outputs of a folder; where that failed before, the same answer at once. Raises Unread."""
    place = folder.absolute()
    if place in _failed:
        raise _failed[place].with_traceback(None)
    try:
        return read(folder)
    except Unread as unread:
        _failed[place] = unread
        raise


def _text(values: Any, path: str) -> str:
    """The scalar at a path as text; empty where there is none."""
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    if isinstance(values, bool):
        return "true" if values else "false"
    return values if isinstance(values, str) else ""


def _unread(place: str, unread: Unread, asked: Sequence[Parameter]) -> Problem:
    flags = ", ".join(parameter.flag for parameter in asked)
    by_hand = Instead(f"terraform -chdir={shlex.quote(place)} output", "says what is wrong there")
    return Problem(
        code="terraform-unread",
        stage=Stage.RESOLVE,
        severity="warning",
        title="the outputs of Terraform were not read",
        where=place,
        why=f"{unread}\nThey may hold what nobody said: {flags}.",
        instead=(
            *([by_hand] if unread.there else []),
            Instead(" ".join(map(_typed, asked)), "needs no Terraform"),
            Instead(f"{SETTING}={OFF}", "Terraform is not asked"),
        ),
    )


def _sensitive(place: str, name: str, parameter: Parameter) -> Problem:
    return Problem(
        code="terraform-sensitive",
        stage=Stage.RESOLVE,
        severity="warning",
        title=f"the output {redact(name)} of Terraform is sensitive, and is not read",
        where=f"{place} {parameter.param.terraform}",
        why=f"{parameter.flag} would have been read from it; a job is written into plans and records in the clear.",
        instead=(Instead(_typed(parameter)),),
    )


def _typed(parameter: Parameter) -> str:
    return parameter.flag if parameter.switch else f"{parameter.flag} {parameter.metavar}"
