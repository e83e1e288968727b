"""A run of another machine that is recorded here: its document says its job, to submit that again."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.added_packages import find_other_line
from robotrain_runtime.contract.document import DOCUMENT_FILE, JobDocument, parse_document
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check.capability_checks import ENVIRONMENT_SETTING
from robotrain.config.selection import split_assignment
from robotrain.config.validate import list_fields
from robotrain.config.values import Origin
from robotrain.errors import Rejected, collect_problems, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job, parse_attempt
from robotrain.model.plan import Payload, Plan, RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.run import RunRecord
from robotrain.model.source import LOCAL_KIND
from robotrain.plugins.manager import Plugins
from robotrain.store import stored_job
from robotrain.submission import absent_parts, carried_record, resubmit, same_job
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)


class OtherMachineRun(NamedTuple):
    """A run that another machine submitted."""

    stored: RenderedPlan
    """Its job and the settings that are known, without a payload."""
    name: str
    personal: Mapping[str, Any]
    """The settings that name something of the user who submitted it: they do not count on this machine."""

    def find_platform(self, name: str, plugins: Plugins) -> Platform:
        """Return the platform of a name, or without one that of the run. Raise Rejected."""
        stored_platform = self.stored.plan.platform
        if not name and stored_platform not in plugins.platforms():
            raise Rejected([make_problem("not-on-this-machine.platform", given=stored_platform, name=stored_platform)])
        return plugins.platform(name or stored_platform)

    def move_to(self, platform: Platform) -> RenderedPlan:
        """Return the plan for a platform, with the accounts, addresses and folders of this machine's configuration.

        Other settings of the run stay, if it ran on that platform and they are known.
        """
        moved_plan = resubmit.move_plan(self.stored, platform)
        if self.stored.plan.platform != platform.name or not self.stored.settings:
            return moved_plan
        runs_here = bool(platform.capabilities.feature("runs_here"))
        declared_settings = get_parameters(platform.settings)
        local_names = {
            parameter.name for parameter in declared_settings if parameter.param.path or parameter.param.names
        }
        local_names |= {parameter.name for parameter in declared_settings if parameter.param.destination and runs_here}
        carried_settings = {name: value for name, value in self.stored.settings.items() if name not in local_names}
        accounts = {parameter.name for parameter in declared_settings if parameter.param.destination}
        moved_settings = {
            name: value
            for name, value in moved_plan.settings.items()
            if name in accounts or name not in carried_settings
        }
        return dataclasses.replace(moved_plan, settings={**carried_settings, **moved_settings})


def read_adopted_run(record: RunRecord, plugins: Plugins) -> OtherMachineRun:
    """Return a run that is recorded here as an address of it gives it. Raise Rejected."""
    try:
        document = parse_document(stored_job.read_stored_document(record.run).decode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "It is damaged."
        raise Rejected(
            [make_problem("plan-not-kept.unreadable", given=record.run, run=record.run, why=reason)]
        ) from None
    run = _restore_run(record.run, dataclasses.replace(document, run=record.run), plugins)
    return run._replace(name=record.name)


def _restore_run(text: str, document: JobDocument, plugins: Plugins) -> OtherMachineRun:
    """Return the run of a document. Raise Rejected."""
    workload = plugins.workload(document.workload)
    try:
        job = carried_record.restore_job(document, workload)
        is_right = document.run == job.run_name(parse_attempt(document.run))
        settings = dict(document.record.get("settings", {}))
    except (ValueError, TypeError, LookupError, AttributeError):  # of a document that somebody edited
        is_right = False
    if not is_right:
        raise Rejected([make_problem("job-not-known", given=text)])
    own_platform = plugins.platforms().get(document.platform)
    personal_settings: dict[str, Any] = {}
    if own_platform and settings:
        carried_names, (typed_settings, _) = (
            {*settings},
            resubmit.restore_settings(settings, own_platform, Origin("run", document.run)),
        )
        settings = dict(list_fields(typed_settings))
        if settings.get(same_job.SECRETS_SETTING):  # whoever sent that run is not told of this one
            settings[same_job.SECRETS_SETTING] = same_job.leave_out_webhook(settings[same_job.SECRETS_SETTING])
        for name in carried_names.intersection(carried_record.list_personal_settings(own_platform)):
            value = settings.pop(name)
            if value and carried_record.was_chosen(document, name):
                personal_settings[name] = value
    if path := document.placement.environment:
        personal_settings.setdefault(ENVIRONMENT_SETTING, path)
    document_bytes = document.to_json().encode()
    plan = Plan(
        platform=document.platform, run=document.run, job=job, spec=DOCUMENT_FILE, files={DOCUMENT_FILE: document_bytes}
    )
    value_rows = tuple(carried_record.restore_values(document, job, settings, workload))
    stored_plan = RenderedPlan(
        plan=plan, settings=settings, container_plugins={}, payload=Payload(b""), values=value_rows
    )
    return OtherMachineRun(stored_plan, job.record.get("name", ""), personal_settings)


def repeat_other_machine_run(
    run: OtherMachineRun,
    platform: Platform,
    sets: Sequence[str],
    plugins: Plugins,
    trainer_args: Sequence[str] = (),
    flags: frozenset[str] = frozenset(),
    is_pinned_again: bool = False,
    replaced_roles: Collection[str] = (),
) -> PreparedJob:
    """Return the job of a run for a platform, with changes as `change_job` takes them.

    Raise Rejected with all that is not here, beside what is wrong.

    :param replaced_roles: the roles whose sources are not used.
    """
    base = run.move_to(platform)
    changed_keys = {split_assignment(assignment)[0] for assignment in sets} | {
        f"sources.{role}." for role in replaced_roles
    }
    problems = list(absent_parts.find_absent_parts(base, run.personal, changed_keys, platform, plugins))
    if not is_pinned_again and (lock_line := find_other_line(base.plan.job.program_lock)):
        problems.append(make_problem("not-on-this-machine.lock", given=lock_line))
    prepared: PreparedJob | None = None
    with collect_problems(problems):
        repeated_plan = resubmit.remove_plan_pins(base) if is_pinned_again else base
        prepared = resubmit.change_job(repeated_plan, sets, plugins, trainer_args, flags)
    raise_if_any(problems)
    assert prepared
    return prepared if is_pinned_again else _keep_pins(prepared, base.plan.job, plugins)


def _keep_pins(prepared: PreparedJob, earlier_job: Job, plugins: Plugins) -> PreparedJob:
    """Return the job with the pins that its folders had on another machine: a folder in their place is the same."""
    pins: dict[str, list[str]] = {}
    for source in earlier_job.sources:
        if source.kind == LOCAL_KIND and not source.implied:
            pins.setdefault(source.role, []).append(source.pin)
    sources, count = [], dict[str, int]()
    for source in prepared.job.sources:
        role_pins = pins.get(source.role, [])
        if source.kind == LOCAL_KIND and not source.implied:
            index = count[source.role] = count.get(source.role, -1) + 1
            if not source.pin and index < len(role_pins):
                source = dataclasses.replace(source, pin=role_pins[index])
        sources.append(source)
    return resubmit.replace_sources(prepared, tuple(sources), plugins)
