"""Each parameter does something: none is taken, kept and forgotten."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.coerce import coerce
from robotrain.job import Job
from robotrain.problem import errors
from robotrain.provenance import Origin, Value
from robotrain.testing.workload import values
from robotrain.testing.workload.base import OfWorkload
from robotrain.workload import Workload

ARGUMENT = "--kit-argument=1"


class Effects(OfWorkload):
    """changed: another value of a parameter, where none can be guessed. unchanged: by parameter, why changing it alone
    changes nothing that the half makes of `job`.
    """

    yours: ClassVar[tuple[str, ...]] = ("changed", "unchanged")
    changed: ClassVar[Mapping[str, str]] = {}
    unchanged: ClassVar[Mapping[str, str]] = {}

    def test_each_parameter_changes_what_is_made(
        self, declared: Workload, half: ModuleType, rendered: JobDocument, data: Mapping[Source, Path]
    ) -> None:
        """Changed alone, it changes the command or what is tracked and published, or the workload's rules refuse it."""
        before = made(half, rendered, data)
        idle = {
            one.name
            for one in parameters_of(declared.parameters)
            if not _effective(declared, half, _with(declared, rendered, one, self._other(declared, one)), data, before)
        }
        assert not idle - {*self.unchanged}, "these change nothing: use them, or say in `unchanged` why"
        assert not {*self.unchanged} - idle, "`unchanged` names what does change something, or is not there"
        assert all(why.strip() for why in self.unchanged.values()), "`unchanged` says why"

    def test_trainer_arguments_are_used_or_refused(
        self, declared: Workload, half: ModuleType, rendered: JobDocument, data: Mapping[Source, Path]
    ) -> None:
        """What stands after `--` reaches the work as it is, or the job is refused: it is never dropped in silence."""
        asked = replace(rendered, trainer_args=(*rendered.trainer_args, ARGUMENT))
        if not _refused(declared, asked):
            work = half.work(asked, data, Path(asked.placement.work))
            passed = [*work.arguments, *work.environ.values()]
            assert any(ARGUMENT in one for one in passed), "it is neither in the command nor refused by `check`"

    def _other(self, declared: Workload, parameter: Parameter) -> str:
        """Another value of a parameter."""
        found = self.changed.get(parameter.name) or next(values.others(declared.parameters, parameter), None)
        if found is None:
            pytest.fail(f"no other value of {parameter.name} can be guessed: say one in `changed`")
        return found


def made(half: ModuleType, document: JobDocument, data: Mapping[Source, Path]) -> dict[str, Any]:
    """Everything that a half makes of a document, by the name of what was asked."""
    work = Path(document.placement.work)
    digests = dict.fromkeys(data, "0" * 64)
    asked: dict[str, Callable[[Any], Any]] = {
        "work": lambda ask: ask(document, data, work),
        "tracked": lambda ask: ask(document),
        "inspect": lambda ask: list(ask(document, data)),
        "compare": lambda ask: list(ask(document, data)),
        "publishing": lambda ask: ask(document, data),
        "targets": lambda ask: list(ask(document, data)),
        "gpus": lambda ask: ask(document),
        "prepare": lambda ask: ask(document, data, digests),
        "checkpoints": lambda ask: ask(document, work),
    }
    return {name: call(getattr(half, name)) for name, call in asked.items() if hasattr(half, name)}


def _with(declared: Workload, document: JobDocument, parameter: Parameter, text: str) -> JobDocument:
    """The document with one parameter said otherwise."""
    given = {parameter.name: Value(text, Origin("flag", parameter.flag))}
    typed, problems = coerce(declared.parameters, given)
    about = [problem.title for problem in problems if problem.where == parameter.flag]
    assert not about, f"{text!r} is no value of {parameter.name}: {', '.join(about)}"
    return replace(document, parameters={**document.parameters, parameter.name: getattr(typed, parameter.name)})


def _effective(
    declared: Workload,
    half: ModuleType,
    document: JobDocument,
    data: Mapping[Source, Path],
    before: Mapping[str, Any],
) -> bool:
    return _refused(declared, document) or made(half, document, data) != before


def _refused(declared: Workload, document: JobDocument) -> bool:
    """Whether the rules of the workload stop the job."""
    job = Job(
        workload=document.workload,
        parameters=tuple(document.parameters.items()),
        sources=document.sources,
        trainer_args=document.trainer_args,
    )
    return bool(errors(tuple(declared.check(job))))
