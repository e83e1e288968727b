"""What can be looked up on this machine, offline, for a setting that nothing else said."""

import importlib
from collections.abc import Iterator
from typing import Any

from robotrain_runtime.parameter import Parameter

from robotrain.problem import Instead, Problem, Stage
from robotrain.provenance import Origin, Value
from robotrain.redaction import redact

LAYER = "looked up"


class Lookups:
    """The functions that parameters name, as a layer; what they fail with is kept among the problems."""

    def __init__(self) -> None:
        self._failed: list[Problem] = []

    def __call__(self, parameter: Parameter) -> Value | None:
        """What the parameter's function answers with, and where it found it."""
        if not parameter.param.lookup:
            return None
        try:
            answer = _function(parameter.param.lookup)()
            if answer is None:
                return None
            value, where = answer
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too, and what ends a task
            self._failed.append(_failed(parameter, error))
            return None
        return Value(str(value), Origin(LAYER, redact(str(where)))) if value != "" else None

    def problems(self) -> Iterator[Problem]:
        """What functions failed with."""
        yield from self._failed


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _failed(parameter: Parameter, error: BaseException) -> Problem:
    return Problem(
        code="lookup-failed",
        stage=Stage.RESOLVE,
        severity="warning",
        title=f"{parameter.flag} could not be looked up on this machine",
        where=parameter.param.lookup,
        why=f"{type(error).__name__}: {redact(str(error))}",
        instead=(Instead(f"{parameter.flag} {parameter.metavar}"),),
    )
