"""The job of a pipeline's step that registers a policy, where the platform's engine runs it.

It is the job of the step whose policy it registers. Its settings are that step's as the user gave them, before anything
was looked up, with those that it was given itself.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from robotrain.config.request import Request
from robotrain.config.validate import list_fields, validate_values
from robotrain.config.values import SET_FLAG, Origin, Value
from robotrain.errors import Problem, raise_if_any
from robotrain.messages import Messages
from robotrain.model.platform import NoSettings, Platform
from robotrain.model.platform_features import PipelinePlans
from robotrain.model.workload import Workload
from robotrain.pipelines.steps import StepRequest
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)

ORIGIN = Origin("pipeline", "the step whose policy it registers")
REGISTRATION = Workload(
    name="register", summary="registers a policy", parameters=NoSettings, roles={}, container_plugin=""
)
"""What can be changed of such a step: settings of the platform only."""


def make_registration_job(
    source: PreparedJob, chosen_values: Mapping[str, Value], user_settings: Iterable[str]
) -> PreparedJob:
    """Return the job of a registration. Raise Rejected for an invalid setting.

    :param source: the job of the step whose policy it registers.
    :param chosen_values: settings that differ from that step's, by name.
    :param user_settings: the names of those that its user gave it.
    """
    platform = source.platform
    inherited_values = {name: Value(value, ORIGIN) for name, value in list_fields(source.settings)}
    setting_values = {
        name: setting_value
        for name, setting_value in {**inherited_values, **chosen_values}.items()
        if setting_value.value is not None
    }
    settings, problems, _ = validate_values(type(source.settings), setting_values)
    raise_if_any(problems)
    changes = {name: getattr(settings, name) for name in chosen_values}
    origins = {name: str(setting_value.origin) for name, setting_value in chosen_values.items()}
    job, _ = settle_registration_job(source.with_settings(settings, changes, origins), user_settings)
    raise_if_any(platform.plans.check(job.job.without_gpus(), job.settings))
    return job


def settle_registration_job(job: PreparedJob, user_settings: Iterable[str]) -> tuple[PreparedJob, list[Problem]]:
    """Return the job with the settings that its platform chooses for a registration, and its notes.

    Settings that were looked up since may change them.
    """
    settings, notes = job.platform.get_plans_for(PipelinePlans).choose_registration_settings(
        job.job, job.settings, frozenset(user_settings)
    )
    return dataclasses.replace(job, settings=settings), [*notes]


def set_registration_settings(
    step: StepRequest, request: Request, platform: Platform, problems: list[Problem]
) -> StepRequest:
    """Return a registration with the settings of a request."""
    if request.line.arguments is not None:
        problems.append(make_problem("value-unknown", where=SET_FLAG, name=step.name, platform=platform.name))
    settings = request.line.select(f"platforms.{platform.name}")
    return dataclasses.replace(
        step, settings={name: setting_value for name, setting_value in settings.items() if setting_value.value != ""}
    )


def find_unused_settings(step: StepRequest) -> list[Problem]:
    """Return a problem for each option that gives a registration by this machine a setting of the platform."""
    flags = [value.origin.where for value in step.settings.values() if value.origin.layer in ("flag", "call")]
    reason = f": this machine registers the policy of step {step.policy_from}"
    return [make_problem("options-conflict.registration", where=flag, why=reason) for flag in flags]
