"""Settings that a platform looks up before submission, as the quota or the version of its engine decide them."""

import dataclasses
from collections.abc import Mapping

from robotrain.config.validate import list_fields, validate_values
from robotrain.config.values import PLATFORM_LAYER, Origin, Value
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.platform import PlatformDefault
from robotrain.redaction import redact
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)


def query_platform_settings(prepared: PreparedJob) -> tuple[PreparedJob, list[Problem]]:
    """Return the job with the unset settings that its platform looks up, and the problems.

    Settings of the user stay; the platform's `check` also applies to the new settings.
    """
    platform, settings = prepared.platform, prepared.settings
    try:
        default_by_setting = dict(platform.engine.query_settings(prepared.job, settings))
    except Rejected as rejected:
        return prepared, list(rejected.problems)
    except OSError as error:
        return prepared, [make_problem("platform-away", name=platform.name, why=redact(str(error)))]
    unset_names = {field.name for field in dataclasses.fields(settings) if getattr(settings, field.name) is None}
    return _apply_answers(
        prepared, {name: answer for name, answer in default_by_setting.items() if name in unset_names}
    )


def _apply_answers(
    prepared: PreparedJob, default_by_setting: Mapping[str, PlatformDefault]
) -> tuple[PreparedJob, list[Problem]]:
    if not default_by_setting:
        return prepared, []
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
