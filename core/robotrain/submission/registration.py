"""Registration of a run's checkpoint, or of the policy it evaluated, in its platform's model registry."""

import re
from collections.abc import Callable

from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.parameter import MODEL_NAME_PATTERN

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.platform import Platform, make_feature_error
from robotrain.model.run import RunRecord
from robotrain.redaction import value_holds_secret
from robotrain.store import plans

make_problem = Messages(__file__)

MODEL_PARAMETERS = ("register_checkpoint", "register_model")
"""The parameters of a job that name a model, in any workload."""


def register_checkpoint(
    record: RunRecord, platform: Platform, name: str, step: int | None, on_start: Callable[[], None] = lambda: None
) -> Registered:
    """Register the checkpoint of `step` (default: the last), or the evaluated policy, as a version of a model.

    Raise Rejected.

    :param on_start: called when all arguments are checked.
    """
    name = name or _find_model_name(record)
    if not re.fullmatch(MODEL_NAME_PATTERN, name) or value_holds_secret(name):
        raise Rejected([make_problem("value-invalid.model-name", given=name)])
    if not platform.capabilities.feature("register_model"):
        raise make_feature_error(platform, "register_model")
    setting, _ = platform.capabilities.find_missing_setting("register_model", record.settings)
    if setting:
        ways = [
            Suggestion(f"robotrain resubmit {record.run} --set {setting}=VALUE", "runs it again, with a registry"),
            Suggestion(f"robotrain outputs {record.run} --to FOLDER", "copies what it left"),
        ]
        raise Rejected([make_problem("run-untracked", *ways, run=record.run, setting=setting)])
    on_start()
    return platform.engine.register(record.reference, name, step)


def _find_model_name(record: RunRecord) -> str:
    stored_plan = plans.find_stored_plan(record.run)
    parameter_values = dict(stored_plan.plan.job.parameters) if stored_plan else {}
    name = next(
        (parameter_values[parameter] for parameter in MODEL_PARAMETERS if parameter_values.get(parameter)), None
    )
    if not name:
        raise Rejected([make_problem("value-missing.model-name", run=record.run)])
    return str(name)
