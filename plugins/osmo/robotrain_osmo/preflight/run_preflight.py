"""The list of checks, of this machine or of a plan; those of inputs, uploads and datasets."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

from robotrain.cluster.answers import as_mapping
from robotrain.cluster.checks import QuantityError, suggest_names
from robotrain.cluster.settings import read_configured_settings
from robotrain.cluster.spec_patch import make_engine_problem
from robotrain.errors import Problem, Severity, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.health import Check, HealthResult, report_failure, report_missing, report_ok
from robotrain.model.plan import Plan
from robotrain_azure import preflight_checks, workspace
from robotrain_azure.models import registry as models
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import DOCUMENT_FILE, JobDocument, JobSource
from robotrain_sources.local_path import upload as local_upload
from robotrain_sources.mlflow import registry

from robotrain_osmo import dataset
from robotrain_osmo.client import service
from robotrain_osmo.client.failures import UNREACHABLE_CODES, CommandFailed
from robotrain_osmo.client.service import LIST_POOLS, Pool, list_credentials
from robotrain_osmo.settings import OsmoSettings, ServerVersion
from robotrain_osmo.spec import environment, resources, submission_spec, workflow
from robotrain_osmo.spec.environment import make_missing_credential_problem
from robotrain_osmo.spec.inputs import DATASET_SERVERS
from robotrain_osmo.spec.submission_spec import OsmoInput, OsmoSubmissionSpec, OsmoUpload
from robotrain_osmo.submit import upload

make_problem = Messages(__file__)


def query_version(cli: str) -> str:
    """Return the service's version, such as `6.4.0`; empty without a sign-in. Raise CommandFailed."""
    answer = service.query_json(cli, "version", "-t", "json", stage=Stage.PREFLIGHT)
    version = as_mapping(as_mapping(answer).get("service"))
    return ".".join(str(version[part]) for part in ("major", "minor", "revision") if part in version)


def check_versions(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem | HealthResult]:
    """Check that the service and the `server` setting have the same version. Raise CommandFailed."""
    version = query_version(tasks[0].cli)
    if not version:  # other checks of a plan say why
        yield report_failure(
            "the OSMO service does not answer: you are signed out, or it is unreachable",
            Suggestion("osmo login URL", "the URL of your OSMO service"),
        )
        return
    yield from [*compare_versions(tasks[0].server, version)] or (report_ok(f"service {version}"),)


def compare_versions(configured: str, version: str) -> Iterator[Problem]:
    """Compare the service's version with the `server` setting: up to 6.3, data is read in another way."""
    service = ".".join(version.split(".")[:2])
    known_versions: tuple[str, ...] = get_args(ServerVersion)
    if service in known_versions and service != configured:
        is_other_way = (configured in DATASET_SERVERS) != (service in DATASET_SERVERS)
        severity: Severity = "error" if is_other_way else "warning"
        yield make_problem(
            "osmo-server-other", given=configured, severity=severity, service=service, configured=configured
        )


def check_credentials(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem]:
    """Check that the workflow's credentials exist. Raise CommandFailed."""
    names = list_credentials(tasks[0].cli)
    for credential in dict.fromkeys(credential for task in tasks for credential in task.credentials):
        if credential.name not in names:
            yield make_missing_credential_problem(credential, names)


def check_pool(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem | HealthResult]:
    """Check that the pool exists and does not silently keep the tasks waiting or end them. Raise CommandFailed."""
    pools = service.list_pools(tasks[0].cli)
    for task in tasks:
        if problems := [*find_pool_problems(task, pools)]:
            yield from problems
        else:
            yield report_ok(f"{task.pool}, with {task.gpu_platform}")


def find_pool_problems(submission: OsmoSubmissionSpec, available_pools: list[Pool]) -> Iterator[Problem]:
    """Check a task against the `available_pools` pools."""
    pool = next((pool for pool in available_pools if pool.name == submission.pool), None)
    if pool is None:
        pool_names = [pool.name for pool in available_pools]
        fixes = suggest_names("--pool {}", pool_names, LIST_POOLS)
        yield make_problem("resource-unknown.pool", *fixes, given=submission.pool, pool=submission.pool)
        return
    if pool.status not in ("", "ONLINE"):
        yield make_problem("pool-closed", given=pool.name, name=pool.name, state=pool.status)
    limit, pool_limit = submission.exec_timeout, pool.max_exec_timeout
    with contextlib.suppress(QuantityError):
        if resources.parse_duration(limit) > resources.parse_duration(pool_limit):
            yield make_problem("time-over-limit", given=limit, name=pool.name, pool_limit=pool_limit)
    if submission.gpu_platform not in pool.platforms:
        wanted = submission.gpu_platform
        fixes = suggest_names("--gpu-platform {}", [*pool.platforms], LIST_POOLS)
        yield make_problem("resource-unknown.gpu-platform", *fixes, given=wanted, name=pool.name, gpu_platform=wanted)


def check_gpu_machines(tasks: Sequence[OsmoSubmissionSpec]) -> Iterator[Problem]:
    """Warn if no machine of a task's platform has so many GPUs: OSMO does not check that, and the task waits.

    Failures, and platforms without machines, are reported by other checks.
    """
    try:
        largest = service.list_largest_gpu_counts(tasks[0].cli, tasks[0].pool)
    except CommandFailed:
        return
    for task in tasks:
        name, gpus = task.gpu_platform, task.gpus
        if (count := largest.get(name, gpus)) < gpus:
            yield make_problem("machines-too-small", given=name, name=name, gpus=gpus, most=count)


INSTALL_SUGGESTION = Suggestion(
    "--osmo-cli /path/to/osmo", "if it is installed elsewhere; or ROBOTRAIN_OSMO_CLI in the environment"
)
POOL_SUGGESTION = Suggestion(
    "--pool NAME", "at each submit, or OSMO_POOL, or pool in robotrain.toml; `osmo pool list` lists the pools"
)


def list_checks(plan: Plan | None) -> list[Check]:
    """Return the checks: of the service, and of a plan or, without one, of the `osmo` command. Raise Rejected."""
    if plan:
        return _list_plan_checks(plan)
    settings = read_configured_settings(OsmoSettings, "osmo")
    command = Check(name="osmo command", run=partial(check_command, settings))
    tasks = (submission_spec.make_submission_spec(settings),)
    return [command, *(_list_service_checks(tasks) if _find_command(settings) else ())]


def check_command(settings: OsmoSettings) -> Iterator[HealthResult]:
    """Look for the command, without a network call. Without a pool, OSMO is not used and nothing fails."""
    if path := _find_command(settings):
        yield report_ok(path)
        if not settings.pool:
            yield report_missing("no pool is set", POOL_SUGGESTION)
        return
    title = f"there is no `{settings.osmo_cli}` command, which submitting to OSMO needs"
    yield report_failure(title, INSTALL_SUGGESTION) if settings.pool else report_missing(title, INSTALL_SUGGESTION)


def _find_command(settings: OsmoSettings) -> str | None:
    return shutil.which(os.path.expanduser(settings.osmo_cli))


def _list_service_checks(tasks: Sequence[OsmoSubmissionSpec]) -> list[Check]:
    """Return the checks of the service that these tasks need."""
    needs = (
        ("osmo service", check_versions, True),
        ("osmo pool", check_pool, tasks[0].pool),
        ("osmo machines", check_gpu_machines, tasks[0].pool and any(task.gpus for task in tasks)),
        ("osmo credentials", check_credentials, any(task.credentials for task in tasks)),
    )
    return [Check(name=name, run=partial(check, tasks), online=True) for name, check, is_needed in needs if is_needed]


def _list_plan_checks(plan: Plan) -> list[Check]:
    """Return the checks of a plan: of its workflow, of the service, and of what its jobs need. Raise Rejected.

    The steps of a pipeline share most of them: each runs once.
    """
    parts = submission_spec.list_parts(plan, Stage.PREFLIGHT)
    jobs = [document.parse_document(part.files[DOCUMENT_FILE].decode()) for part, _ in parts]
    submissions = [submission for _, submission in parts]
    tasks = tuple(
        dict.fromkeys(
            replace(submission, run="", task="", uploads=(), inputs=(), publishes="") for submission in submissions
        )
    )
    uploads = {
        item: partial(check_upload, part, submission, item) for part, submission in parts for item in submission.uploads
    }
    inputs = {item: partial(check_input, submission, item) for submission in submissions for item in submission.inputs}
    datasets = {name: partial(check_dataset, submissions[0], name) for name in _list_datasets(jobs, submissions[0])}
    targets = filter(None, (workspace.parse_tracking_uri(job.placement.tracking_uri) for job in jobs))
    workspaces = {target: partial(preflight_checks.check_workspace, target) for target in targets}
    data_checks = {  # by what the check depends on
        (job.workload, job.sources, job.parameters.get("publish_url"), tuple(job.placement.credentials)): partial(
            preflight_checks.check_data, job
        )
        for job in jobs
    }
    sources = [*datasets.values(), *inputs.values(), *uploads.values()]
    access = [*workspaces.values(), *data_checks.values()]
    return [
        Check(name="osmo workflow", run=partial(workflow.check_workflow_size, plan)),
        *(
            Check(name="osmo patch", run=partial(check_patched_workflow, plan, submission))
            for submission in submissions
            if submission.spec_patch
        ),
        *_list_service_checks(tasks),
        *(Check(name="osmo inputs", run=check) for check in sources),
        *(Check(name="osmo access", run=check) for check in access),
    ]


def pin_source(source: JobSource, settings: OsmoSettings) -> str:
    """Return the latest version of a model in the registry that the job is tracked to. Raise SourceError."""
    tracking_uri = environment.get_tracking_uri(settings)
    if target := workspace.parse_tracking_uri(tracking_uri):
        return models.find_latest_version(source, target)
    return registry.find_latest_version(source, tracking_uri)


def read_tags(source: JobSource, settings: OsmoSettings) -> Mapping[str, str]:
    """Return the tags of a model of a workspace; empty if they cannot be read."""
    return models.read_tags(source, workspace.parse_tracking_uri(environment.get_tracking_uri(settings)))


def check_patched_workflow(plan: Plan, submission: OsmoSubmissionSpec) -> Iterator[Problem]:
    """Have OSMO read the workflow in a dry run. What else is wrong with the service other checks say."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        file = Path(folder) / submission_spec.WORKFLOW_FILE
        file.write_bytes(plan.files[plan.spec])
        words = ("workflow", "submit", str(file), "--dry-run", "-p", submission.pool)
        try:
            service.query_text(submission.cli, *words, stage=Stage.PREFLIGHT)
        except CommandFailed as error:
            if error.failure.code == "platform-refused":
                yield make_engine_problem("OSMO", error.failure.why)


def check_input(submission: OsmoSubmissionSpec, required_input: OsmoInput) -> Iterator[Problem]:
    """Check that an input exists: otherwise OSMO provides an empty folder and reports success."""
    flag, url = required_input.flag, required_input.url
    try:
        is_empty = service.is_storage_empty(submission.cli, url)
    except CommandFailed as error:  # the workflow may be able to read it
        failure = error.failure
        yield make_problem("source-unreachable.input", *failure.suggestions, where=flag, given=url, why=failure.title)
        return
    if is_empty:
        fix = Suggestion(f"osmo data list {url.rpartition('/')[0]} --no-pager", "lists the storage")
        reason = "OSMO would provide an empty folder and report success."
        yield make_problem("source-missing.empty", fix, where=flag, given=url, why=reason)


def check_upload(plan: Plan, submission: OsmoSubmissionSpec, item: OsmoUpload) -> Iterator[Problem]:
    """Check that an input can be uploaded, and note the size of the upload."""
    problems = [*local_upload.check_upload(plan, item, Stage.PREFLIGHT, "OSMO")] if item.path else []
    try:
        stored_files = service.list_stored_files(submission.cli, item.url, Stage.PREFLIGHT)
    except CommandFailed as error:
        if problems:
            yield from problems
        elif error.failure.code in UNREACHABLE_CODES:  # that may pass until the submit
            yield make_problem("not-checked-here.uploads", where=item.flag, given=item.url, why=error.failure.title)
        else:
            problem = error.failure.to_problem(Stage.PREFLIGHT)
            is_about_command = bool(problem.where)  # other checks report it too, and it is shown once
            yield problem if is_about_command else replace(problem, where=item.flag, given=item.url)
        return
    if not item.path or upload.is_complete(item, stored_files):
        return
    yield from local_upload.check_upload_secrets(plan, item)
    if problems:
        yield from problems
        return
    yield local_upload.describe_upload(plan, item, "the storage", item.url, is_kept=item.files is not None)


MISSING = ("resource-unknown.bucket", "resource-unknown.dataset")


def _list_datasets(jobs: Iterable[JobDocument], submission: OsmoSubmissionSpec) -> Iterator[str]:
    """Yield the names of the built-in OSMO datasets that the jobs read."""
    for job in jobs if submission.server in DATASET_SERVERS else ():
        sources = {(source.role, source.uri) for source in job.sources if source.kind == dataset.KIND.name}
        yield from (mount.origin for mount in job.placement.mounts if (mount.role, mount.uri) in sources)


def check_dataset(submission: OsmoSubmissionSpec, name: str) -> Iterator[Problem]:
    """Check that an OSMO dataset exists. Other failures are reported by other checks."""
    try:
        service.query_json(submission.cli, "dataset", "info", name, "-t", "json")
    except CommandFailed as error:
        if error.failure.code in MISSING:
            problem = error.failure.to_problem(Stage.PREFLIGHT)
            yield replace(problem, where=dataset.DATASET_FLAG, given=name)
