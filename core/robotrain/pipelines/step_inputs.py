"""What is wrong with the inputs of steps, judged before anything is sent, also by what earlier steps will make."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.submission.input_check import InputCheck

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.pipelines.prepare import PreparedPipeline


def find_step_problems(prepared: PreparedPipeline) -> Iterator[Problem]:
    """Yield the problems of all steps, of the trials of a sweep those of the first.

    On a platform that runs here, preflight finds those of steps that need no other.
    """
    steps = prepared.steps[:1] if prepared.sweep else prepared.steps
    read = {given.step for step in steps for given in step.inputs}
    with tempfile.TemporaryDirectory(prefix="robotrain-") as place:
        check = InputCheck(Path(place))
        for step in steps:
            if step.job is None:
                continue
            if step.needs or not prepared.platform.capabilities.feature("runs_here"):
                for problem in check.find_problems(step.job):
                    yield dataclasses.replace(problem, where=f"step {step.name}")
            if step.name in read:
                check.describe_output(step.name, step.job)
        yield from check.notes
