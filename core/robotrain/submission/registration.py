"""Registering a checkpoint of a run that was sent, or the policy that it evaluated, on its platform's registry."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from robotrain_runtime.contract.event import Registered

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.redaction import holds_secret, redact
from robotrain.store import plans, records
from robotrain.submission import reconcile

if TYPE_CHECKING:
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins

MODEL_PARAMETERS = ("register_checkpoint", "register_model")
"""What names a model in a job, of whichever workload."""
MODEL_NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"


def register_checkpoint(
    run: str, name: str, step: int | None, plugins: "Plugins", on_start: Callable[[], None] = lambda: None
) -> Registered:
    """Make the checkpoint of `step` (None: the last), or the evaluated policy, a version of the model `name`. Raises
    Rejected.

    begins: called once nothing that was given is wrong.
    """
    record = records.read_record(records.find_run(run))
    platform = plugins.platform(record.platform)
    if record.phase == "sending":
        record = reconcile.adopt_run(record, platform)
    name = name or _find_model_name(record)
    if not re.fullmatch(MODEL_NAME_PATTERN, name) or holds_secret(name):
        why = "Letters, digits, `_`, `.` and `-`, at most 255."
        title = "this is no name for a model"
        raise Rejected([_make_problem("model-name-invalid", Stage.USAGE, title, redact(name), why)])
    support = platform.capabilities.feature("register_model")
    if not support:
        title = f"{record.platform} cannot register checkpoints in a model registry"
        ways = (Suggestion(support.suggestion),) if support.suggestion else ()
        raise Rejected([_make_problem("feature-not-there", Stage.CHECK, title, "", support.reason, *ways)])
    on_start()
    return platform.register(record.reference, name, step)


def _find_model_name(record: "RunRecord") -> str:
    """The model that the run's job names. Raises Rejected when it names none."""
    kept = plans.find_stored_plan(record.run)
    said = dict(kept.plan.job.parameters) if kept else {}
    name = next((said[parameter] for parameter in MODEL_PARAMETERS if said.get(parameter)), None)
    if not name:
        way = Suggestion(f"robotrain register {record.run} MODEL")
        raise Rejected([_make_problem("model-name-missing", Stage.USAGE, "say which model it becomes", "", "", way)])
    return str(name)


def _make_problem(code: str, stage: Stage, title: str, given: str = "", why: str = "", *instead: Suggestion) -> Problem:
    return Problem(code=code, stage=stage, title=title, given=given, why=why, suggestions=tuple(instead))
