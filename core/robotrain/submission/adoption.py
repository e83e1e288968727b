"""A run of another machine, recorded on this one: its platform has all that the record needs."""

import contextlib
import dataclasses
import json
import os
import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.document import JobDocument, parse_document

from robotrain import __version__
from robotrain.cluster.settings import read_configured_settings
from robotrain.config.values import Origin
from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job, parse_attempt
from robotrain.model.platform import Platform, make_feature_error
from robotrain.model.platform_features import SharedRuns
from robotrain.model.reference import Reference
from robotrain.model.run import RunRecord
from robotrain.model.submitted_run import SubmittedRun
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact, value_holds_secret
from robotrain.store import name_lock, plans, records
from robotrain.submission import carried_record, interrupted_submit
from robotrain.submission.adopted_job import DAMAGES, restore_run
from robotrain.submission.interrupted_submit import make_sent_record, require_no_secrets
from robotrain.submission.resubmit import restore_settings
from robotrain.submission.run_labels import RunLabels
from robotrain.submission.run_sender import NO_OWNER, make_record

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
    submitted_run = find_submitted_run(text, platform)
    text = format_address(text)
    document = read_submitted_document(text, submitted_run.document)
    try:
        adopted_run = restore_run(document, document.run, plugins)
        job = adopted_run.stored.plan.job
        is_right = document.run == job.run_name(parse_attempt(document.run)) and document.platform == platform.name
    except DAMAGES:
        is_right = False
    if not is_right:
        raise Rejected([make_problem("run-not-adopted.changed", given=text)])
    settings, _ = restore_settings(adopted_run.stored.settings, platform, Origin("run", document.run))
    reference = require_no_secrets(submitted_run.refer(job, settings), platform.name)
    with name_lock.lock_job(job, platform.name, lambda: None):
        record = _find_recorded(job, platform, reference) or _complete_interrupted(document, platform, reference)
        if record:
            return Adoption(record, is_new=False)
        return _record_run(document, job, platform, reference, submitted_run.created or time.time(), plugins)


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


def _find_recorded(job: Job, platform: Platform, reference: Reference) -> RunRecord | None:
    """Return the record of a run that is known here already."""
    for attempt in name_lock.list_attempts(job):
        record = records.find_readable_record(job.run_name(attempt))
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


def _complete_interrupted(document: JobDocument, platform: Platform, reference: Reference) -> RunRecord | None:
    """Return the record of this machine's interrupted submit of the run, which is complete now; None without one."""
    run = document.run
    with contextlib.suppress(Rejected):  # the platform has none, or the record or its plan is damaged
        record = records.find_record(run)
        is_interrupted = record and record.phase == "sending" and not name_lock.is_being_submitted(run)
        if record and is_interrupted and (record.platform, record.job) == (platform.name, document.job):
            completed_record = interrupted_submit.adopt_run(record, platform)
            return completed_record if _is_same_run(completed_record, platform, reference) else None
    return None


def _record_run(
    document: JobDocument, job: Job, platform: Platform, reference: Reference, created: float, plugins: Plugins
) -> Adoption:
    """Record the run under its own name, or if another run has that here, under the next free one."""
    claim = name_lock.claim_exact_name(document.run, lambda record: False)
    lock = (claim or name_lock.claim_run_name(job, lambda record: False))[0]
    with lock:
        adopted_run = restore_run(document, lock.run, plugins)
        notes = [make_problem("adopted-in-part.renamed", given=document.run, run=lock.run)] if not claim else []
        kind_by_setting = carried_record.list_personal_settings(platform)
        for name in adopted_run.personal:
            if name in document.record.get("settings", {}):
                kind = kind_by_setting[name]
                notes.append(make_problem("adopted-in-part.left-out", run=lock.run, name=name, kind=kind))
        plans.store_plan(adopted_run.stored)
        labels = RunLabels(**{key: job.record.get(key, "") for key in carried_record.LABEL_KEYS})
        record = make_record(adopted_run.stored, labels, NO_OWNER, [note.title for note in notes])
        record = dataclasses.replace(record, created=created, host="")
        os.utime(lock.folder / records.LOCK_FILE, (created, created))  # runs are listed by it
        sent_record = make_sent_record(record, reference)
        records.write_record(sent_record)
    return Adoption(sent_record, is_new=True, notes=tuple(notes))
