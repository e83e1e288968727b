"""A run of another machine, recorded on this one: its platform has all that the record needs."""

import contextlib
import json
import os
import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.document import JobDocument, parse_document
from robotrain_runtime.contract.parameter import get_parameters

from robotrain import __version__
from robotrain.cluster.settings import read_configured_settings
from robotrain.config.validate import list_fields
from robotrain.config.values import Origin
from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job, parse_attempt
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform, make_feature_error
from robotrain.model.platform_features import SharedRuns
from robotrain.model.reference import Reference
from robotrain.model.run import RunRecord
from robotrain.model.submitted_run import SubmittedRun
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


def adopt_submitted_run(text: str, plugins: Plugins, platform_name: str) -> Adoption:
    """Record the run that a platform calls so, or return its record. Raise Rejected."""
    if value_holds_secret(text):
        raise Rejected([make_problem("run-not-adopted.signed")])
    raise_if_any(name_lock.check_state_folder())
    platform = plugins.platform(platform_name)
    found_run = _read_found_run(text, find_submitted_run(text, platform), platform, plugins)
    job = found_run.prepared.job
    with name_lock.lock_job(job, platform.name, lambda: None):
        record = _find_recorded(job, platform, found_run.reference) or _complete_interrupted(found_run)
        return Adoption(record, is_new=False) if record else _record_run(found_run)


class AdoptableRun(NamedTuple):
    """A run that its platform found, as it is recorded."""

    document: JobDocument
    prepared: PreparedJob
    reference: Reference
    created: float | None
    left_out: Sequence[tuple[str, str]]
    """The settings that this machine does not take over, each with what it names."""


def _read_found_run(text: str, submitted_run: SubmittedRun, platform: Platform, plugins: Plugins) -> AdoptableRun:
    """Read what a platform found by a text. Raise Rejected if this machine cannot record it."""
    text = format_address(text)
    document = read_submitted_document(text, submitted_run.document)
    prepared, left_out_settings = _restore_prepared(text, document, platform, plugins)
    reference = require_no_secrets(submitted_run.refer(prepared.job, prepared.settings), platform.name)
    return AdoptableRun(document, prepared, reference, submitted_run.created, left_out_settings)


def format_address(text: str) -> str:
    """Return what a user typed as it is shown: of an address only what comes before a query, which may be signed."""
    return re.split("[?#]", text)[0] if "://" in text else text


def find_submitted_run(text: str, platform: Platform) -> SubmittedRun:
    """Return the run that a platform calls so. Raise Rejected, RunGone."""
    if not platform.capabilities.feature("adopt"):
        raise make_feature_error(platform, "adopt")
    settings: Any = read_configured_settings(platform.settings, platform.name, with_terraform=True)
    submitted_run = platform.get_engine_for(SharedRuns).find_submitted(text, settings)
    if submitted_run is None:
        given = format_address(text) or "''"
        raise Rejected([make_problem("run-not-adopted.unknown", given=given, platform=platform.name)])
    return submitted_run


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
    text: str, document: JobDocument, platform: Platform, plugins: Plugins
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
    dropped_names = [name for name in kind_by_setting if carried_settings.pop(name, None) is not None]
    left_out_settings = [
        (name, kind_by_setting[name]) for name in dropped_names if carried_record.was_chosen(document, name)
    ]
    for parameter in get_parameters(platform.settings):  # `~` is a home folder there, and not the one here
        if parameter.param.path and str(carried_settings.get(parameter.name)).startswith("~"):
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
