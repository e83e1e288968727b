"""Registering a checkpoint of a run that was sent, or the policy that it evaluated, on its platform's registry."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from robotrain_runtime.event import Registered

from robotrain import cut_off, sent_plans, store
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import holds_secret, redact

if TYPE_CHECKING:
    from robotrain.plugins import Plugins
    from robotrain.run import RunRecord

PARAMETERS = ("register_checkpoint", "register_model")
"""What names a model in a job, of whichever workload."""
NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"


def register(
    run: str, name: str, step: int | None, plugins: "Plugins", begins: Callable[[], None] = lambda: None
) -> Registered:
    """Make the checkpoint of `step` (None: the last), or the evaluated policy, a version of the model `name`. Raises
    Rejected.

    begins: called once nothing that was given is wrong.
    """
    record = store.read(store.find(run))
    platform = plugins.platform(record.platform)
    if record.phase == "sending":
        record = cut_off.adopted(record, platform)
    name = name or _asked_for(record)
    if not re.fullmatch(NAME, name) or holds_secret(name):
        why = "Letters, digits, `_`, `.` and `-`, at most 255."
        title = "this is no name for a model"
        raise Rejected([_problem("model-name-invalid", Stage.USAGE, title, redact(name), why)])
    support = platform.capabilities.feature("register_model")
    if not support:
        title = f"{record.platform} cannot register checkpoints in a model registry"
        ways = (Instead(support.instead),) if support.instead else ()
        raise Rejected([_problem("feature-not-there", Stage.CHECK, title, "", support.reason, *ways)])
    begins()
    return platform.register(record.reference, name, step)


def _asked_for(record: "RunRecord") -> str:
    """The model that the run's job names. Raises Rejected when it names none."""
    kept = sent_plans.read_if_kept(record.run)
    said = dict(kept.plan.job.parameters) if kept else {}
    name = next((said[parameter] for parameter in PARAMETERS if said.get(parameter)), None)
    if not name:
        way = Instead(f"robotrain register {record.run} MODEL")
        raise Rejected([_problem("model-name-missing", Stage.USAGE, "say which model it becomes", "", "", way)])
    return str(name)


def _problem(code: str, stage: Stage, title: str, given: str = "", why: str = "", *instead: Instead) -> Problem:
    return Problem(code=code, stage=stage, title=title, given=given, why=why, instead=tuple(instead))
