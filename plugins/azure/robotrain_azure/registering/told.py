"""What a model is told of the checkpoint, or of the evaluated policy, that it is: in the names of the contract, D.4."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain import sent_plans
from robotrain_runtime import document
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.document import JobDocument, Placement
from robotrain_runtime.half import Publishing
from robotrain_runtime.publish import lineage_file, registration, same_model, score_tags

if TYPE_CHECKING:
    from robotrain_azure.heard import Heard

TYPE = "policy_type"
"""A tag of every policy, and a parameter of the run that evaluated it."""


@dataclass(frozen=True, slots=True)
class Told:
    """tags: what can be searched for; scores: those of them that an evaluation adds. description: some lines for
    people. lineage: the content of the file beside the model; empty where nobody knows it any more.
    """

    tags: Mapping[str, str]
    scores: Mapping[str, str]
    description: str
    lineage: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """What is registered. folder: of the checkpoint, as it is called. made: its seal; None where it is not at hand.

    ids: those that find the run again, as tags.
    """

    run: str
    platform: str
    step: int
    folder: str
    made: Manifest | None
    ids: Mapping[str, str]


def told(which: Which, sent: JobDocument | None, said: Heard) -> Told:
    """sent: the document of the run; None where the plan that was sent is not here any more."""
    known = which.made or Manifest(step=which.step, run=which.run, job=sent.job if sent else "", files={})
    of = sent or _unknown(which, known)
    asked = _of_workload(of)
    scores = score_tags.of(said.evaluated, which.run, asked.evaluated_on)
    given = {**_measured(said), **asked.tags, **which.ids}
    tags = registration.tags(of, given, Path(which.folder), known)
    if which.made is None:  # which bytes it has, the log alone can say
        tags = {name: value for name, value in tags.items() if name not in same_model.DIGESTS}
        tags |= {same_model.MODEL: found} if (found := said.tags.get(same_model.MODEL)) else {}
    lineage = _lineage(asked.lineage, which.ids) if asked.lineage else b""
    what = "policy" if said.evaluated else "checkpoint"
    return Told({**tags, **scores}, scores, asked.description or f"{what} {which.folder} of {which.run}", lineage)


def sent(run: str, file: str) -> JobDocument | None:
    """The document of a run, from the plan that was sent. file: its name in it."""
    rendered = sent_plans.read_if_kept(run)
    if rendered is None or file not in rendered.plan.files:
        return None
    return document.load(rendered.plan.files[file].decode())


def _measured(said: Heard) -> dict[str, str]:
    """What a workload tells from the policy's files, which are not here: the run told tracking."""
    return {TYPE: str(said.params[TYPE])} if said.evaluated and said.params.get(TYPE) else {}


def _lineage(said: Mapping[str, object], ids: Mapping[str, str]) -> bytes:
    run_id, experiment_id = (ids.get(name, "") for name in ("mlflow_run_id", "mlflow_experiment_id"))
    return lineage_file.content({**said, **ids}, run_id, experiment_id)


def _unknown(which: Which, made: Manifest) -> JobDocument:
    """What a seal tells of a run's document."""
    return JobDocument(
        schema=document.SCHEMA,
        run=which.run,
        job=made.job,
        workload="",
        platform=which.platform,
        halves={},
        parameters={},
        placement=Placement(work="", cache=""),
    )


def _of_workload(sent: JobDocument) -> Publishing:
    """What its workload says of everything that is registered."""
    half = sent.halves.get(f"workload.{sent.workload}")
    say = getattr(importlib.import_module(half), "publishing", None) if half else None
    said: Publishing = say(sent, {}) if say else Publishing()
    return said
