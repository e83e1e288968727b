"""What somebody wrote into the text of a job that its SDK lets through and Azure refuses, once all else is there."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact

from robotrain_azureml import order
from robotrain_azureml.hand_over.agreed import at
from robotrain_azureml.rules import containers, naming
from robotrain_azureml.spec.text import QUOTED, TEMPLATE

RULES = (
    ("experiment_name", naming.EXPERIMENT, naming.EXPERIMENT_IS, "--experiment-name NAME"),
    ("resources.shm_size", containers.SIZE, containers.SIZE_IS, "--shm-size SIZE"),
)
"""The key, what it holds where it is said, that in words, and what renders it."""
_EXPRESSION = r"\$\{\{(.*?)\}\}"


def problems(job: Mapping[str, Any], stage: Stage) -> Iterator[Problem]:
    """One for each key. job: as it is written in the plan."""
    for key, holds, why, flag in RULES:
        said = at(job, key)
        if said and not re.fullmatch(holds, said):
            yield _unfit(key, said, why, stage, f"robotrain render … {flag} --to FOLDER")
    yield from _command(job, stage)
    yield from _environment(job, stage)


def _command(job: Mapping[str, Any], stage: Stage) -> Iterator[Problem]:
    known = [f"{what}.{name}" for what in ("inputs", "outputs") for name in _named(job, what)]
    for found in re.finditer(_EXPRESSION, at(job, "command"), re.DOTALL):
        if found[1] not in known:
            why = f"The job has {', '.join(known)}." if known else "The job has no input and no output."
            yield _unfit("command", found[0], why, stage)


def _environment(job: Mapping[str, Any], stage: Stage) -> Iterator[Problem]:
    for name, value in _named(job, QUOTED).items():
        if TEMPLATE in str(value):
            why = f"Azure ML reads no `{TEMPLATE}` there: it stands in the command alone."
            yield _unfit(f"{QUOTED}.{name}", str(value), why, stage)


def _named(job: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = job.get(key)
    return found if isinstance(found, Mapping) else {}


def _unfit(key: str, said: str, why: str, stage: Stage, way: str = "robotrain render … --to FOLDER") -> Problem:
    return Problem(
        code="azureml-value-invalid",
        stage=stage,
        title=f"{order.SPEC} says what Azure ML does not take: {key}",
        where=f"{order.SPEC}: {key}",
        given=redact(said),
        why=why,
        instead=(Instead(way, "renders it anew"),),
    )
