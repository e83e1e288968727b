"""A workflow that another machine submitted: OSMO has its text, and that its job document."""

import base64
import binascii
import bz2
import io
import itertools
import re
import shutil
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from robotrain.cluster.answers import as_mapping, as_mappings, as_text, parse_time
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.job import Job, parse_workload
from robotrain.model.reference import Reference
from robotrain.model.run import RUN_PATTERN
from robotrain.model.submitted_run import ListedSubmission, SubmittedRun
from robotrain.plugins.manager import get_plugins
from robotrain_runtime.contract.document import DOCUMENT_FILE
from robotrain_runtime.contract.document_limits import MAX_DOCUMENT_BYTES

from robotrain_osmo.client import service
from robotrain_osmo.observe import workflow_state
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import groups
from robotrain_osmo.spec.inputs import find_publish_url
from robotrain_osmo.spec.render import ARCHIVE_PATH, TaskBuilder
from robotrain_osmo.spec.resources import fill_settings
from robotrain_osmo.spec.submission_spec import make_submission_spec
from robotrain_osmo.submit.submit import SPEC_SECONDS, make_job_reference

make_problem = Messages(__file__)

PLAN_MARK_PATTERN = r"ROBOTRAIN_PLAN:\s*['\"]?[0-9a-f]{16,64}"
"""What only workflows have that robotrain made."""
MAX_ARCHIVE_BYTES = 64 << 20
"""Of the archive in a workflow, unpacked: somebody else may have made it."""
WORKFLOW_PATTERN = r"[a-zA-Z0-9](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?-[0-9]+"


def find_submitted(text: str, settings: OsmoSettings) -> SubmittedRun | None:
    """Return the run of a workflow, named by its id; None for other texts. Raise RunGone, Rejected."""
    if not re.fullmatch(WORKFLOW_PATTERN, text):
        return None
    if not RUN_PATTERN.fullmatch(text.rpartition("-")[0]) and not shutil.which(settings.osmo_cli):  # not set up here
        return None
    answer = as_mapping(workflow_state.query_answer({"workflow": text, "cli": settings.osmo_cli}))
    created_at = parse_time(answer.get("submit_time"))
    spec = _read_spec(settings.osmo_cli, text, is_new=not created_at or time.time() - created_at < STORING_SECONDS)

    def refer(job: Job, carried: Any) -> Reference:
        return _make_reference(job, replace(carried, osmo_cli=settings.osmo_cli), text)

    return SubmittedRun(_find_document(text, spec), refer, created_at)


STORING_SECONDS = 60.0
"""For so long after a submit, OSMO may not have stored the text of a workflow."""


def _read_spec(cli: str, workflow: str, is_new: bool) -> Mapping[str, Any]:
    """Return the specification of a workflow; empty if robotrain did not make it. Raise Rejected.

    :param is_new: whether OSMO may store its text only now, so that it is read again.
    """
    spec_text = ""
    for pause in SPEC_SECONDS if is_new else SPEC_SECONDS[:1]:
        time.sleep(pause)
        spec_text = service.query_text(cli, "workflow", "spec", workflow)
        if re.search(PLAN_MARK_PATTERN, spec_text):
            break
    if not re.search(PLAN_MARK_PATTERN, spec_text):
        return {}
    import yaml  # costs start-up

    try:
        return as_mapping(yaml.load(spec_text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError:
        return {}


def _find_document(workflow: str, spec: Mapping[str, Any]) -> bytes:
    """Return the job document in the text of a workflow; empty without one. Raise Rejected."""
    if not spec:
        return b""
    tasks = groups.list_tasks(spec)
    archives = [
        as_text(file.get("contents"))
        for file in as_mappings(tasks[0].get("files") if tasks else ())
        if file.get("path") == ARCHIVE_PATH
    ]
    if not archives:  # the archive was uploaded
        raise Rejected([make_problem("run-not-adopted.uploaded", given=workflow)])
    try:
        archive_bytes = bz2.BZ2File(io.BytesIO(base64.b64decode(archives[0]))).read(MAX_ARCHIVE_BYTES)
        with tarfile.open(fileobj=io.BytesIO(archive_bytes), mode="r:") as tar_archive:
            member = tar_archive.extractfile(DOCUMENT_FILE)
            return member.read(MAX_DOCUMENT_BYTES) if member else b""
    except KeyError:
        raise Rejected([make_problem("run-not-adopted.parts", given=workflow)]) from None
    except (ValueError, OSError, EOFError, tarfile.TarError, binascii.Error, RecursionError):  # of a link to itself
        return b""


def _make_reference(job: Job, settings: OsmoSettings, workflow: str) -> Reference:
    """Return what `submit` returned for the workflow of a job."""
    run, nodes = workflow.rpartition("-")[0], job.training_nodes
    builder = TaskBuilder(job, fill_settings(job, settings), run)
    submission = make_submission_spec(
        builder.settings,
        run,
        job.workload,
        nodes=nodes if nodes > 1 else 0,
        publishes=find_publish_url(job, builder.checkpoint_copy),
        dataset=builder.published_dataset,
    )
    return make_job_reference(submission, workflow)


def list_submitted(settings: OsmoSettings, everyone: bool) -> Iterator[ListedSubmission] | None:
    """Return the workflows that are named as runs are, the newest first; None without the `osmo` command.

    A list does not tell what a workflow has: the name of a pipeline is its own, not that of a workload. Raise Rejected.
    """
    return _list_workflows(settings.osmo_cli, everyone) if shutil.which(settings.osmo_cli) else None


def _list_workflows(cli: str, everyone: bool) -> Iterator[ListedSubmission]:
    size = int(workflow_state.LISTED)
    workloads = get_plugins().list_names("workload")
    for offset in itertools.count(step=size):
        query_options = [
            *(["-a"] if everyone else []),
            *(["-f", str(offset)] if offset else []),
        ]  # older commands have no -f
        answer = service.query_json(cli, "workflow", "list", "-c", str(size), *query_options, "-t", "json")
        rows = [*as_mappings(as_mapping(answer).get("workflows"))]
        for row in sorted(rows, key=lambda row: as_text(row.get("submit_time")), reverse=True):
            workflow = as_text(row.get("name"))
            run = workflow.rpartition("-")[0]
            if RUN_PATTERN.fullmatch(run):
                state = workflow_state.parse_workflow(row).state
                created_at = parse_time(row.get("submit_time"))
                keys = {"workflow": workflow}
                user = as_text(row.get("user"))
                is_job = parse_workload(run) in workloads
                yield ListedSubmission(workflow, run, state, keys, created_at, user, is_job)
        if len(rows) < size:
            return
