"""What nobody said is asked: Terraform's outputs, then what can be looked up on this machine."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from robotrain.lookups import Lookups
from robotrain.problem import Instead, Problem, Stage

if TYPE_CHECKING:
    from robotrain_runtime.parameter import Parameter

    from robotrain.provenance import Value
    from robotrain.terraform import Terraform


class Asked:
    """Both, for one request; neither is asked before a value is missing. terraform: None where it is not asked."""

    def __init__(self, terraform: Terraform | None) -> None:
        self._terraform = terraform
        self._lookups = Lookups()
        self._alone: list[Problem] = []

    def values(self, parameters: Sequence[Parameter], said: Collection[str]) -> dict[str, Value]:
        """What they answer for the parameters of a declaration that are not among those `said`, by name."""
        missing = [one for one in parameters if one.name not in said]
        beside = {one.name for one in missing if one.param.beside or one.param.unless in said}
        found = {}
        for one in sorted(missing, key=lambda one: one.name in beside):
            if value := self._outputs(one, one.name in beside) or self._lookups(one):
                found[one.name] = value
        alone = {one.name: rest for one in missing if one.name in found and (rest := _lacking(one, {*said, *found}))}
        self._alone += _told(parameters, {name: rest for name, rest in alone.items() if name not in beside}, found)
        return {name: value for name, value in found.items() if name not in alone}

    def _outputs(self, parameter: Parameter, beside: bool) -> Value | None:
        if self._terraform is None:
            return None
        return self._terraform.beside(parameter) if beside else self._terraform(parameter)

    def problems(self) -> Iterator[Problem]:
        """What kept a layer from answering, and answers that do not count."""
        yield from self._terraform.problems() if self._terraform else ()
        yield from self._lookups.problems()
        yield from self._alone


def _lacking(parameter: Parameter, known: Collection[str]) -> tuple[str, ...]:
    """The fields without which what was found for a parameter counts for nothing."""
    return tuple(name for name in parameter.param.together if name not in known)


def _told(
    parameters: Sequence[Parameter], alone: Mapping[str, tuple[str, ...]], found: Mapping[str, Value]
) -> Iterator[Problem]:
    """One note for all of them."""
    named = {one.name: one for one in parameters}
    lacking = list(dict.fromkeys(name for rest in alone.values() for name in rest if name in named))
    if not lacking:
        return
    flags, missing = ", ".join(named[name].flag for name in alone), ", ".join(named[name].flag for name in lacking)
    yield Problem(
        code="found-in-part",
        stage=Stage.RESOLVE,
        severity="note",
        title=f"what was found for {flags} does not count: nobody says {missing}",
        where=str(found[next(iter(alone))].origin),
        instead=(Instead(" ".join(f"{named[name].flag} {named[name].metavar}" for name in lacking)),),
    )
