"""The job of a run that another machine submitted, to submit it again from this one: what it has from there is named at
once, each with what gives another.
"""

import dataclasses
import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.added_packages import find_other_line
from robotrain_runtime.contract.document import DOCUMENT_FILE, JobDocument, JobSource, parse_document
from robotrain_runtime.contract.parameter import get_parameters, load_pairs
from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.check.capability_checks import ENVIRONMENT_SETTING
from robotrain.config.selection import split_assignment
from robotrain.config.validate import list_fields
from robotrain.config.values import SET_FLAG, Origin
from robotrain.errors import Problem, Rejected, Suggestion, collect_problems, raise_if_any
from robotrain.messages import Messages
from robotrain.model import code_commit_tags
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan, RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.run import RunRecord
from robotrain.model.source import LOCAL_KIND, SourceKind
from robotrain.plugins.manager import Plugins
from robotrain.store import files, stored_job
from robotrain.submission import carried_record, resubmit, same_job
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)

MAX_KINDS = 3
"""How many kinds of sources are offered in place of one that is not here."""


class AdoptedRun(NamedTuple):
    """A run that another machine submitted."""

    stored: RenderedPlan
    """Its job and the settings that are known, without a payload."""
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


def read_adopted_run(record: RunRecord, plugins: Plugins) -> AdoptedRun:
    """Return a run that another machine submitted. Raise Rejected."""
    try:
        path = stored_job.get_plan_folder(record.run) / DOCUMENT_FILE
        document = parse_document(files.read_state_file(path).decode())
        return restore_run(document, record.run, plugins)
    except (OSError, *DAMAGES) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "It is damaged."
        raise Rejected(
            [make_problem("plan-not-kept.unreadable", given=record.run, run=record.run, why=reason)]
        ) from None


DAMAGES = (ValueError, TypeError, LookupError, AttributeError)
"""What a document raises that somebody edited."""


def restore_run(document: JobDocument, run: str, plugins: Plugins) -> AdoptedRun:
    """Return the run that a job document describes, under the name that it has here. Raise DAMAGES, Rejected."""
    content, document = document.to_json().encode(), dataclasses.replace(document, run=run)
    workload, platform = plugins.workload(document.workload), plugins.platforms().get(document.platform)
    job = carried_record.restore_job(document, workload)
    settings, personal_settings = dict(document.record.get("settings", {})), dict[str, Any]()
    if platform and settings:
        for name in carried_record.list_personal_settings(platform).keys() & settings:
            value = settings.pop(name)
            if name == same_job.SECRETS_SETTING:  # whoever sent that run is not told of this one
                value = same_job.leave_out_webhook(value)
            if value and carried_record.was_chosen(document, name):
                personal_settings[name] = value
        paths = [parameter.name for parameter in get_parameters(platform.settings) if parameter.param.path]
        for name in paths:  # `~` is a home folder there, and not the one here
            if str(settings.get(name)).startswith("~"):
                del settings[name]
        typed_settings, problems = resubmit.restore_settings(settings, platform, Origin("run", run))
        raise_if_any(problems)
        settings = dict(list_fields(typed_settings))
    if path := document.placement.environment:
        personal_settings.setdefault(ENVIRONMENT_SETTING, path)
    files_of_plan = {DOCUMENT_FILE: content}
    stored_plan = RenderedPlan(
        plan=Plan(platform=document.platform, run=run, job=job, spec=DOCUMENT_FILE, files=files_of_plan),
        settings=settings,
        container_plugins={},
        payload=Payload(b""),
        values=tuple(carried_record.restore_values(document, job, settings, workload)),
        produces=workload.produces,
    )
    return AdoptedRun(stored_plan, personal_settings)


def repeat_adopted_run(
    run: AdoptedRun,
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
    problems = list(_find_absent_parts(base, run.personal, changed_keys, platform, plugins))
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


def _find_absent_parts(
    base: RenderedPlan,
    kind_by_setting: Mapping[str, Any],
    changed_keys: Collection[str],
    platform: Platform,
    plugins: Plugins,
) -> Iterator[Problem]:
    """Yield the folders, files and programs of a job that this machine lacks, or whose user has to trust them.

    :param base: its plan for the platform.
    :param kind_by_setting: the settings of its run that name something of its user.
    :param changed_keys: the keys of the values that the user gives.
    """
    job, kinds = base.plan.job, plugins.source_kinds()
    changed_names = {part for key in changed_keys for part in key.split(".")[-2:]}  # of secrets: `secrets.NAME`
    roles = {key.split(".")[1] for key in changed_keys if key.startswith("sources.")}
    settings, _ = resubmit.restore_settings(base.settings, platform, Origin("run", base.plan.run))
    for source in job.sources:
        if source.role not in roles and not source.implied and not platform.plans.is_remote_folder(source, settings):
            yield from _find_absent_source(source, platform, kinds)
    setting_names = {name for name, value in base.settings.items() if value is not None}
    for parameter in get_parameters(platform.settings):
        if parameter.name in kind_by_setting and parameter.name not in setting_names | changed_names:
            value, is_pairs = kind_by_setting[parameter.name], parameter.param.form == "pairs"
            setting_text = ", ".join(load_pairs(value)) if is_pairs else str(value)
            key = f"{parameter.name}.NAME" if is_pairs else parameter.name
            yield make_problem("not-on-this-machine.setting", where=parameter.name, given=setting_text, key=key)
    yield from _find_absent_values(job, changed_names, plugins.workload(job.workload).parameters)


def _find_absent_source(source: JobSource, platform: Platform, kinds: Mapping[str, SourceKind]) -> Iterator[Problem]:
    ways = _list_ways(source, platform, kinds)
    if source.kind == STEP_KIND:
        yield make_problem("not-on-this-machine.step", *ways, where=source.role, given=source.uri)
    elif source.kind == LOCAL_KIND and not os.path.exists(source.uri):
        commit = code_commit_tags.format_commit(source) or None
        yield make_problem("not-on-this-machine", *ways, where=source.role, given=source.uri, commit=commit)


def _find_absent_values(job: Job, changed_names: Collection[str], parameters_class: type) -> Iterator[Problem]:
    parameter_values = dict(job.parameters)
    for parameter in get_parameters(parameters_class):
        value = parameter_values.get(parameter.name)
        if not value or parameter.name in changed_names:
            continue
        is_read = parameter.param.path and not job.program_lock  # a lock has what was read of it
        if parameter.param.names == "program":
            yield make_problem("not-on-this-machine.program", where=parameter.name, given=str(value), value=str(value))
        elif is_read and not os.path.exists(str(value)):
            yield make_problem("not-on-this-machine.path", where=parameter.name, given=str(value))


def _list_ways(source: JobSource, platform: Platform, kinds: Mapping[str, SourceKind]) -> Iterator[Suggestion]:
    """Yield what gives a source from a place that this machine reaches."""
    tags = code_commit_tags.parse_tags(source)
    commit = "" if code_commit_tags.is_dirty(source) else tags.get(code_commit_tags.COMMIT, "")
    accepted_kinds = platform.capabilities.list_accepted_kinds(source.role, kinds)
    for kind in sorted(accepted_kinds, key=lambda source_kind: source_kind.name != LOCAL_KIND)[:MAX_KINDS]:
        form, remark = kind.get_form(source.role), kind.title
        form = re.sub("REVISION|COMMIT", lambda name: commit or name[0], form)
        if kind.name == LOCAL_KIND:
            form = "FOLDER"
            remark = "a copy of it" + (f" at the commit {commit}" if commit else "")
        yield Suggestion(f"{SET_FLAG} {shlex.quote(f'sources.{source.role}.{kind.name}={form}')}", remark)
