"""What a job of another machine has from there, each with what gives another: it is submitted from this one."""

import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.parameter import get_parameters, load_pairs
from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.config.values import SET_FLAG, Origin
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model import code_commit_tags
from robotrain.model.job import Job
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.source import LOCAL_KIND, SourceKind
from robotrain.plugins.manager import Plugins
from robotrain.submission import resubmit

make_problem = Messages(__file__)

MAX_KINDS = 3
"""How many kinds of sources are offered in place of one that is not here."""


def find_absent_parts(
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
