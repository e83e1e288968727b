"""Registering a checkpoint of a run that was sent, on its platform's registry."""

import re
from typing import TYPE_CHECKING

from robotrain_runtime.event import Registered

from robotrain import sent_plans, store
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import holds_secret, redact

if TYPE_CHECKING:
    from robotrain.plugins import Plugins
    from robotrain.run import RunRecord

PARAMETER = "register_checkpoint"
NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"


def register(run: str, name: str, step: int | None, plugins: "Plugins") -> Registered:
    """Make the checkpoint of `step` (None: the last) a version of the model `name`. Raises Rejected."""
    record = store.sent(store.find(run))
    name = name or _asked_for(record)
    if not re.fullmatch(NAME, name) or holds_secret(name):
        why = "Letters, digits, `_`, `.` and `-`, at most 255."
        title = "this is no name for a model"
        raise Rejected([_problem("model-name-invalid", Stage.USAGE, title, redact(name), why)])
    platform = plugins.platform(record.platform)
    support = platform.capabilities.feature("register_model")
    if not support:
        title = f"{record.platform} cannot register checkpoints in a model registry"
        ways = (Instead(support.instead),) if support.instead else ()
        raise Rejected([_problem("feature-not-there", Stage.CHECK, title, "", support.reason, *ways)])
    return platform.register(record.reference, name, step)


def _asked_for(record: "RunRecord") -> str:
    """The model that the run's job names. Raises Rejected when it names none."""
    kept = sent_plans.read_if_kept(record.run)
    name = dict(kept.plan.job.parameters).get(PARAMETER) if kept else None
    if not name:
        way = Instead(f"robotrain register {record.run} MODEL")
        raise Rejected([_problem("model-name-missing", Stage.USAGE, "say which model it becomes", "", "", way)])
    return str(name)


def _problem(code: str, stage: Stage, title: str, given: str = "", why: str = "", *instead: Instead) -> Problem:
    return Problem(code=code, stage=stage, title=title, given=given, why=why, instead=tuple(instead))
