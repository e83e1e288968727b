"""A run of another machine, recorded on this one: its platform has all that the record needs."""

import contextlib
import json
import os
import re
import shlex
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from robotrain_runtime.contract.document import JobDocument, parse_document
from robotrain_runtime.contract.parameter import get_parameters

from robotrain import __version__, network_deadline
from robotrain.cluster.settings import read_configured_settings
from robotrain.config.validate import list_fields
from robotrain.config.values import Origin
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job, parse_attempt
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform, make_feature_error
from robotrain.model.platform_features import SharedRuns
from robotrain.model.reference import Reference
from robotrain.model.run import RUN_PATTERN, RunGone, RunRecord
from robotrain.model.source import SourceError
from robotrain.model.submitted_run import ListedSubmission, SubmittedRun
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact, value_holds_secret
from robotrain.store import name_lock, plans, records, run_differences, stored_job
from robotrain.submission import carried_record, interrupted_submit
from robotrain.submission.container_plugins import collect_container_plugins
from robotrain.submission.interrupted_submit import make_sent_record, require_no_secrets
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.resubmit import restore_settings

make_problem = Messages(__file__)


class Adoption(NamedTuple):
    """The record of a run that another machine submitted."""

    record: RunRecord
    is_new: bool
    """Whether it was not recorded before."""
    notes: Sequence[Problem] = ()


def adopt_submitted_run(text: str, plugins: Plugins, platform_name: str = "") -> Adoption:
    """Record the run that a text names on its platform, or return its record. Raise Rejected.

    :param platform_name: the platform to ask; empty for those that know the text for a name of theirs.
    """
    if value_holds_secret(text):
        raise Rejected([make_problem("run-not-adopted.signed")])
    raise_if_any(name_lock.check_state_folder())
    platform, submitted_run = find_submitted_run(text, plugins, platform_name)
    return record_found_run(read_found_run(text, submitted_run, platform, plugins))


class AdoptableRun(NamedTuple):
    """A run that its platform found, as it is recorded."""

    document: JobDocument
    prepared: PreparedJob
    reference: Reference
    created: float | None
    left_out: Sequence[tuple[str, str]]
    """The settings that this machine does not take over, each with what it names."""


def read_found_run(
    text: str, submitted_run: SubmittedRun, platform: Platform, plugins: Plugins, local_settings: Any = None
) -> AdoptableRun:
    """Read what a platform found by a text. Raise Rejected if this machine cannot record it.

    :param local_settings: settings of this machine, for those that name something of its user; else they are left out.
    """
    text = format_address(text)
    document = read_submitted_document(text, submitted_run.document)
    prepared, left_out_settings = _restore_prepared(text, document, platform, plugins, local_settings)
    reference = require_no_secrets(submitted_run.refer(prepared.job, prepared.settings), platform.name)
    return AdoptableRun(document, prepared, reference, submitted_run.created, left_out_settings)


def format_address(text: str) -> str:
    """Return what a user typed as it is shown: of an address only what comes before a query, which may be signed."""
    return re.split("[?#]", text)[0] if "://" in text else text


def record_found_run(adoptable_run: AdoptableRun, *, is_locked: bool = False) -> Adoption:
    """Record a run, or return its record. Raise Rejected.

    :param is_locked: whether this process holds the lock of the job.
    """
    job, platform = adoptable_run.prepared.job, adoptable_run.prepared.platform
    lock = name_lock.lock_job(job, platform.name, lambda: None)
    with contextlib.nullcontext() if is_locked else lock:
        record = _find_recorded(job, platform, adoptable_run.reference) or _complete_interrupted(adoptable_run)
        if record:
            return Adoption(record, is_new=False)
        return _record_run(adoptable_run)


def _find_tracked_run(text: str, plugins: Plugins) -> tuple[str, str] | None:
    """Return the platform and its name of the run that a tracking run is of; None for another text. Raise Rejected."""
    try:
        urlsplit(text)
    except ValueError:  # such as a bracket without the other one
        raise Rejected([make_problem("run-not-adopted.unknown", given=format_address(text))]) from None
    servers = [os.environ.get("MLFLOW_TRACKING_URI")]
    for declared_platform in plugins.platforms().values():
        settings: Any = read_configured_settings(declared_platform.settings, declared_platform.name)
        servers.append(getattr(settings, "tracking_uri", None))
    for kind in plugins.source_kinds().values():
        try:
            tag = kind.find_tracked_run(text, [server for server in servers if server])
        except SourceError as error:
            raise Rejected([make_problem("run-not-adopted.tracking", error.suggestion, why=error.why)]) from None
        if tag is not None:
            platform, _, ref = tag.partition(":")
            if not ref or (":" in ref and not ref.startswith("/")):  # a host that the server chose is not asked
                raise Rejected([make_problem("run-not-adopted.untold")])
            return platform, ref
    return None


def find_submitted_run(text: str, plugins: Plugins, platform_name: str) -> tuple[Platform, SubmittedRun]:
    """Return the run, and its platform. Raise Rejected if none has it, or several."""
    if tracked_run := _find_tracked_run(text, plugins):
        platform_name, text = platform_name or tracked_run[0], tracked_run[1]
    platforms = {platform_name: plugins.platform(platform_name)} if platform_name else plugins.platforms()
    adopting_platforms = [platform for platform in platforms.values() if platform.capabilities.feature("adopt")]
    replies = _ask_platforms(adopting_platforms, partial(_ask_platform, text=text))
    matches = [
        (platform, reply.value)
        for platform, reply in zip(adopting_platforms, replies, strict=True)
        if reply.value is not None
    ]
    errors = [reply.error for reply in replies if reply.error is not None]
    if (
        adopting_platforms and not matches and RUN_PATTERN.fullmatch(text)
    ):  # not what an engine calls it, but what `runs` shows
        errors = [error for error in errors if not isinstance(error, RunGone)]
        matches, silent_errors = _find_named_run(text, adopting_platforms)
        platform_names = ", ".join(platform.name for platform in adopting_platforms)
        errors += silent_errors or [
            Rejected([make_problem("run-not-adopted.not-listed", given=text, names=platform_names)])
        ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        platform_names = ", ".join(platform.name for platform, _ in matches)
        raise Rejected([make_problem("run-not-adopted.several", given=format_address(text), names=platform_names)])
    failures = [error for error in errors if not isinstance(error, RunGone)] or errors
    problems = [problem for error in failures if isinstance(error, Rejected) for problem in error.problems]
    scheme, _, path = text.partition(":")
    kinds = [source_kind for source_kind in plugins.source_kinds().values() if scheme in source_kind.schemes]
    if (
        kinds and path[:1] == "/" != path[1:2] and not platform_name
    ):  # `models:/arm/3`: whoever asked that host is wrong
        address = format_address(text)
        raise Rejected([make_problem("run-not-adopted.of-server", given=address, title=kinds[0].title)])
    if problems:
        raise Rejected(problems, transient=all(getattr(error, "transient", False) for error in failures))
    if failures:
        raise failures[0]
    if platform_name and not adopting_platforms:
        raise make_feature_error(platforms[platform_name], "adopt")
    raise Rejected([make_problem("run-not-adopted.unknown", given=format_address(text) or "''")])


def _ask_platforms(platforms: Sequence[Platform], ask: Callable[[Platform], Any]) -> list[network_deadline.Reply]:
    limit = network_deadline.get_limit(network_deadline.LONG_SECONDS)
    return [reply for [reply] in network_deadline.ask_all([[partial(ask, platform)] for platform in platforms], limit)]


def _ask_platform(platform: Platform, text: str) -> SubmittedRun | None:
    settings: Any = read_configured_settings(platform.settings, platform.name, with_terraform=True)
    return platform.get_engine_for(SharedRuns).find_submitted(text, settings)


def _find_named_run(
    run: str, platforms: Sequence[Platform]
) -> tuple[list[tuple[Platform, SubmittedRun]], list[BaseException]]:
    """Return the only run that platforms list under a name, the user's own before those of others, and their errors.

    It has that name where it was submitted; an engine may list several of it. Raise Rejected if one does.
    """
    errors: list[BaseException] = []
    for everyone in (False, True):
        replies = _ask_platforms(platforms, partial(_list_named, run=run, everyone=everyone))
        platform_rows = [
            (platform, row) for platform, reply in zip(platforms, replies, strict=True) for row in reply.value or ()
        ]
        errors = [reply.error for reply in replies if reply.error is not None]
        if len(platform_rows) > 1:
            ways = [
                Suggestion(shlex.quote(row.text), ", ".join(filter(None, (row.state, row.user, f"on {platform.name}"))))
                for platform, row in platform_rows[:MAX_NAMED]
            ]
            raise Rejected([make_problem("run-not-adopted.same-name", *ways, given=run, count=len(platform_rows))])
        if platform_rows:
            [(platform, row)] = platform_rows
            submitted = _ask_platform(platform, row.text)
            return ([(platform, submitted)] if submitted else []), errors
    return [], errors


MAX_NAMED = 8
"""How many runs of a name are named."""


def _list_named(platform: Platform, run: str, everyone: bool) -> list[ListedSubmission]:
    settings: Any = read_configured_settings(platform.settings, platform.name, with_terraform=True)
    return [
        row for row in platform.get_engine_for(SharedRuns).list_submitted(settings, everyone) or () if row.run == run
    ]


def read_submitted_document(text: str, document_bytes: bytes) -> JobDocument:
    """Return the job document of a run. Raise Rejected if this robotrain cannot read it."""
    try:
        json_document = json.loads(document_bytes)
        writer = str((json_document.get("record") or {}).get(carried_record.WRITER_KEY, ""))
    except (ValueError, AttributeError, RecursionError):
        raise Rejected([make_problem("run-not-adopted.other-tool", given=text)]) from None
    try:
        document = parse_document(document_bytes.decode())
    except ValueError:
        writer = redact(writer) or "another version"
        problem = make_problem("run-not-adopted.other-version", given=text, writer=writer, own=__version__)
        raise Rejected([problem]) from None
    if not writer:
        raise Rejected([make_problem("run-not-adopted.no-record", given=text)])
    return document


def _restore_prepared(
    text: str, document: JobDocument, platform: Platform, plugins: Plugins, local_settings: Any
) -> tuple[PreparedJob, list[tuple[str, str]]]:
    """Return the job of a run as it was prepared, and the settings that this machine does not take over."""
    workload = plugins.workload(document.workload)
    kinds = plugins.source_kinds()
    try:
        job = carried_record.restore_job(document, workload)
        carried_settings = dict(document.record.get("settings", {}))
        is_right = document.run == job.run_name(parse_attempt(document.run)) and document.platform == platform.name
    except (ValueError, TypeError, LookupError, AttributeError):  # of a document that somebody edited
        is_right = False
    if not is_right:
        raise Rejected([make_problem("run-not-adopted.changed", given=text)])
    kind_by_setting = carried_record.list_personal_settings(platform)
    dropped_names = [
        name for name in kind_by_setting if carried_settings.pop(name, None) is not None and local_settings is None
    ]
    left_out_settings = [
        (name, kind_by_setting[name]) for name in dropped_names if carried_record.was_chosen(document, name)
    ]
    carried_settings |= {
        name: value for name in kind_by_setting if (value := getattr(local_settings, name, None)) is not None
    }
    for parameter in get_parameters(platform.settings):  # `~` is a home folder there, and not the one here
        if (
            parameter.param.path
            and local_settings is None
            and str(carried_settings.get(parameter.name)).startswith("~")
        ):
            del carried_settings[parameter.name]
    settings, problems = restore_settings(carried_settings, platform, Origin("run", document.run))
    raise_if_any(problems)
    value_rows = carried_record.restore_values(document, job, dict(list_fields(settings)), workload)
    prepared = PreparedJob(
        job=job,
        platform=platform,
        settings=settings,
        kinds=kinds,
        container_plugins=collect_container_plugins(job, workload, kinds, platform, settings),
        values=tuple(value_rows),
        produces=workload.produces,
        workload=workload,
    )
    return prepared, left_out_settings


def _find_recorded(job: Job, platform: Platform, reference: Reference) -> RunRecord | None:
    """Return the record of a run that is known here already."""
    for attempt in name_lock.list_attempts(job):
        try:
            record = records.find_record(job.run_name(attempt))
        except Rejected:  # a damaged one
            continue
        if not record or record.platform != platform.name or record.phase != "sent":
            continue
        if _is_same_run(record, platform, reference):
            return record
    return None


def _is_same_run(record: RunRecord, platform: Platform, reference: Reference) -> bool:
    if records.refers_to(record, reference):
        return True
    description = platform.engine.describe_reference(reference)
    return bool(description) and platform.engine.describe_reference(record.reference) == description


def _complete_interrupted(adoptable_run: AdoptableRun) -> RunRecord | None:
    """Return the record of this machine's interrupted submit of the run, which is complete now; None without one."""
    run, (_, prepared, reference, *_) = adoptable_run.document.run, adoptable_run
    with contextlib.suppress(Rejected):  # the platform has none, or the record or its plan is damaged
        record = records.find_record(run)
        is_interrupted = record and record.phase == "sending" and not name_lock.is_being_submitted(run)
        if record and is_interrupted and (record.platform, record.job) == (prepared.platform.name, prepared.job.digest):
            completed_record = interrupted_submit.adopt_run(record, prepared.platform)
            return completed_record if _is_same_run(completed_record, prepared.platform, reference) else None
    return None


def _record_run(adoptable_run: AdoptableRun) -> Adoption:
    """Record the run under its own name, or if another run has that here, under the next free one."""
    document, prepared = adoptable_run.document, adoptable_run.prepared
    claim = name_lock.claim_exact_name(document.run, lambda record: False)
    lock = (claim or name_lock.claim_run_name(prepared.job, lambda record: False))[0]
    with lock:
        job, created = prepared.job, adoptable_run.created or time.time()
        notes = [make_problem("adopted-in-part.renamed", given=document.run, run=lock.run)] if not claim else []
        notes += [
            make_problem("adopted-in-part.left-out", run=lock.run, name=name, kind=kind)
            for name, kind in adoptable_run.left_out
        ]
        rendered_plan: RenderedPlan | None = None
        try:
            rendered_plan = prepared.render(parse_attempt(lock.run))
            plans.store_plan(rendered_plan)
        except Rejected as rejected:  # such as a folder of code that this machine does not have
            notes.append(make_problem("adopted-in-part.no-plan", run=lock.run, why=rejected.problems[0].title))
        record = RunRecord(
            run=lock.run,
            platform=prepared.platform.name,
            phase="sending",
            job=job.digest,
            plan=rendered_plan.plan.digest if rendered_plan else "",
            created=created,
            workload=job.workload,
            settings=dict(list_fields(prepared.settings)),
            reference={},
            host="",
            makes=prepared.produces,
            outputs=job.profile.outputs,
            metrics=job.profile.metrics,
            **{key: job.record.get(key, "") for key in carried_record.LABEL_KEYS},
            program=run_differences.find_program(rendered_plan) if rendered_plan else "",
            values=run_differences.collect_values(rendered_plan) if rendered_plan else {},
        )
        stored_job.store_document(lock.run, document.to_json().encode())
        os.utime(lock.folder / records.LOCK_FILE, (created, created))  # runs are listed by it
        note_titles = tuple(note.title for note in notes)
        sent_record = make_sent_record(record, prepared.platform, adoptable_run.reference, *note_titles)
        records.write_record(sent_record)
    return Adoption(sent_record, is_new=True, notes=tuple(notes))
