"""Settings that a platform looks up before submission, as the quota or the version of its engine decide them."""

import dataclasses
from collections.abc import Mapping, Sequence

from robotrain.config.validate import list_fields, validate_values
from robotrain.config.values import PLATFORM_LAYER, Origin, Value
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.platform import PlatformDefault
from robotrain.redaction import redact
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)


Answers = tuple[Mapping[str, PlatformDefault], Sequence[Problem]]
"""What a platform looked up, by the name of the setting, and the problems."""


def query_settings(prepared: PreparedJob) -> Answers:
    """Return what its platform looks up for the unset settings of a job."""
    platform, settings = prepared.platform, prepared.settings
    try:
        default_by_setting = dict(platform.engine.query_settings(prepared.job, settings))
    except Rejected as rejected:
        return {}, rejected.problems
    except OSError as error:
        return {}, [make_problem("platform-away", name=platform.name, why=redact(str(error)))]
    unset_names = {field.name for field in dataclasses.fields(settings) if getattr(settings, field.name) is None}
    return {name: answer for name, answer in default_by_setting.items() if name in unset_names}, ()


def fill_settings(prepared: PreparedJob, answers: Answers) -> tuple[PreparedJob, list[Problem]]:
    """Return the job with the settings that its platform looked up, and the problems.

    The platform's `check` applies to the new settings too.
    """
    default_by_setting, query_problems = answers
    if not default_by_setting:
        return prepared, list(query_problems)
    platform, settings = prepared.platform, prepared.settings
    raw_values = {
        name: Value(default.value, Origin(PLATFORM_LAYER, f"{platform.name}: {default.why}"))
        for name, default in default_by_setting.items()
    }
    current_values = {name: Value(value, Origin("here")) for name, value in list_fields(settings) if value is not None}
    typed_settings, problems, _ = validate_values(type(settings), current_values | raw_values)
    if problems:
        return prepared, problems
    changes = {name: getattr(typed_settings, name) for name in raw_values}
    origins = {name: str(value.origin) for name, value in raw_values.items()}
    changed_job = prepared.with_settings(dataclasses.replace(settings, **changes), changes, origins)
    earlier_problems = [*platform.plans.check(prepared.job, settings)]
    new_problems = platform.plans.check(changed_job.job, changed_job.settings)
    return changed_job, [problem for problem in new_problems if problem not in earlier_problems]
