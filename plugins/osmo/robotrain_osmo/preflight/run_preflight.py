"""The preflight checks of a plan, and those of inputs, uploads, datasets and Azure roles."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from robotrain.cluster.checks import make_preflight_problem
from robotrain.cluster.platform import PreflightCheck
from robotrain.errors import Problem, Stage, Suggestion
from robotrain.model.plan import Plan
from robotrain_azure import preflight_checks, workspace
from robotrain_azure.models import registry as models
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_sources.local_path import upload as local_upload
from robotrain_sources.mlflow import registry

from robotrain_osmo import dataset, storage
from robotrain_osmo.client import service
from robotrain_osmo.client.failures import UNREACHABLE_CODES, CommandFailed
from robotrain_osmo.preflight import service as preflight_service
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import environment, pipeline_plan, submission_spec, workflow
from robotrain_osmo.spec.inputs import DATASET_SERVERS
from robotrain_osmo.spec.submission_spec import OsmoInput, OsmoSubmissionSpec, OsmoUpload
from robotrain_osmo.submit import upload

QUERY_SECONDS = 20.0
"""For each query of the service."""


def list_checks(plan: Plan) -> list[PreflightCheck]:
    """Return the checks of a plan: of its workflow, of the service, and of what each job needs. Raise Rejected."""
    checks: list[PreflightCheck] = []
    services: dict[OsmoSubmissionSpec, None] = {}
    for part, submission in pipeline_plan.list_parts(plan, Stage.PREFLIGHT):
        services[replace(submission, run="", task="", uploads=(), inputs=(), publishes="")] = None
        job_document = document.parse_document(part.files[submission_spec.DOCUMENT_FILE].decode())
        checks += [
            partial(check_datasets, job_document, submission),
            *(partial(check_input, submission, item) for item in submission.inputs),
            *(partial(check_upload, part, submission, item) for item in submission.uploads),
            partial(check_azure_access, job_document, submission),
            partial(preflight_checks.check_data, job_document),
        ]
    of_service = [  # most steps of a pipeline ask the same of it
        partial(check, submission, QUERY_SECONDS) for submission in services for check in SERVICE_CHECKS
    ]
    return [partial(workflow.check_workflow_size, plan), *of_service, *checks]


def pin_source(source: JobSource, settings: OsmoSettings) -> str:
    """Return the latest version of a model in the registry that the job is tracked to. Raise SourceError."""
    tracking_uri = environment.get_tracking_uri(settings)
    if target := workspace.parse_tracking_uri(tracking_uri):
        return models.find_latest_version(source, target)
    return registry.find_latest_version(source, tracking_uri)


def read_tags(source: JobSource, settings: OsmoSettings) -> Mapping[str, str]:
    """Return the tags of a model of a workspace; empty if they cannot be read."""
    return models.read_tags(source, workspace.parse_tracking_uri(environment.get_tracking_uri(settings)))


SERVICE_CHECKS = (
    preflight_service.check_versions,
    preflight_service.check_pool,
    preflight_service.check_gpu_machines,
    preflight_service.check_credentials,
    preflight_service.check_retry_limit,
)


def drop_consequences(problems: Sequence[Problem]) -> Sequence[Problem]:
    """Drop missing datasets if the service has another version, which looks for them elsewhere."""
    if not any(item.code == "osmo-server-other" and item.severity == "error" for item in problems):
        return problems
    return [item for item in problems if (item.code, item.where) != ("osmo-input-empty", dataset.DATASET_FLAG)]


def check_input(submission: OsmoSubmissionSpec, required: OsmoInput) -> Iterator[Problem]:
    """Check that an input exists: otherwise OSMO provides an empty folder and reports success."""
    flag, url = required.flag, required.url
    try:
        is_empty = service.is_storage_empty(submission.cli, url, QUERY_SECONDS)
    except CommandFailed as error:  # the workflow may be able to read it
        title, why = "cannot check the input from this machine", error.failure.title
        why, fixes = f"{why[:1].upper()}{why[1:]}.", error.failure.suggestions
        yield make_preflight_problem("osmo-input-unchecked", title, flag, url, why, *fixes, severity="warning")
        return
    if is_empty:
        why = "OSMO would provide an empty folder and report success."
        fixes = (Suggestion(f"osmo data list {url.rpartition('/')[0]} --no-pager", "lists the storage"),)
        if flag == dataset.DATASET_FLAG:
            why += f" {dataset.LEGACY_DATASET_NOTE}"
            download = "osmo dataset download NAME FOLDER"
            fixes += (Suggestion(download, "with a 6.3 command, then --dataset-path FOLDER"),)
        yield make_preflight_problem("osmo-input-empty", "the input is empty", flag, url, why, *fixes)


def check_upload(plan: Plan, submission: OsmoSubmissionSpec, item: OsmoUpload) -> Iterator[Problem]:
    """Check that an input can be uploaded, and note the size of the upload."""
    problems = [*local_upload.check_upload(plan, item, Stage.PREFLIGHT, "OSMO")] if item.path else []
    try:
        stored = service.list_stored_files(submission.cli, item.url, Stage.PREFLIGHT, QUERY_SECONDS)
    except CommandFailed as error:
        yield from problems or [_make_unlisted_problem(item, error)]
        return
    if not item.path or upload.is_complete(item, stored):
        return
    yield from local_upload.check_upload_secrets(plan, item)
    if problems:
        yield from problems
        return
    content = local_upload.scan_folder(local_upload.select_uploaded_part(plan, item.path))
    title, why = f"{content}, will be uploaded", f"The target is {item.url}."
    yield make_preflight_problem("osmo-upload", title, item.flag, item.path, why, severity="note")


def _make_unlisted_problem(item: OsmoUpload, failed: CommandFailed) -> Problem:
    """Return why the storage could not be listed: only a warning if that may pass until the submit."""
    problem = failed.failure.to_problem(Stage.PREFLIGHT)
    if failed.failure.code not in UNREACHABLE_CODES:
        is_about_command = bool(problem.where)  # other checks report it too, and it is shown once
        return problem if is_about_command else replace(problem, where=item.flag, given=item.url)
    title = "could not list the uploaded files in time"
    why = "The submit lists them again and waits longer: many files take minutes."
    return make_preflight_problem("osmo-upload-unchecked", title, item.flag, item.url, why, severity="warning")


MISSING_CODES = ("osmo-bucket-unknown", "osmo-dataset-unknown")


def check_datasets(job_document: JobDocument, submission: OsmoSubmissionSpec) -> Iterator[Problem]:
    """Check that OSMO datasets exist. Other failures are reported by other checks."""
    if submission.server not in DATASET_SERVERS:
        return
    datasets = {(item.role, item.uri) for item in job_document.sources if item.kind == dataset.KIND.name}
    for mount in job_document.placement.mounts:
        if (mount.role, mount.uri) not in datasets:
            continue
        words = ("dataset", "info", mount.origin, "-t", "json")
        try:
            service.query_json(submission.cli, *words, seconds=QUERY_SECONDS)
        except CommandFailed as error:
            if error.failure.code in MISSING_CODES:
                problem = error.failure.to_problem(Stage.PREFLIGHT)
                yield replace(problem, where=dataset.DATASET_FLAG, given=mount.origin)


def check_azure_access(job_document: JobDocument, submission: OsmoSubmissionSpec) -> Iterator[Problem]:
    """Check the workspace and the identity's roles, as the account that is signed in on this machine."""
    if target := workspace.parse_tracking_uri(job_document.placement.tracking_uri):
        yield from preflight_checks.check_workspace(target)
    accounts = find_storage_accounts(job_document, submission) if submission.identity else {}
    subscription = submission.subscription or (target.subscription if target else "")
    if accounts and subscription:
        yield from preflight_checks.check_identity_blob_roles(submission.identity, subscription, accounts)
    elif accounts:
        title = f"cannot check the roles of the job's identity on {', '.join(sorted(accounts))}"
        why, fix = "The subscription of the storage accounts is not set.", Suggestion("--subscription-id ID")
        flag = preflight_checks.IDENTITY_FLAG
        yield make_preflight_problem("azure-unchecked", title, flag, submission.identity, why, fix, severity="warning")


def find_storage_accounts(job_document: JobDocument, submission: OsmoSubmissionSpec) -> dict[str, bool]:
    """Return the storage accounts that the job uses with its identity, and whether it writes to each."""
    has_no_credential = "blob_url" not in job_document.placement.credentials
    read = [source.uri for source in job_document.sources if source.kind == "blob_url" and has_no_credential]
    read += [item.url for item in submission.inputs] + [item.url for item in submission.uploads]
    accounts = {name: False for name in map(storage.get_storage_account, read) if name}
    is_own = has_no_credential or submission.publishes.startswith("azure:")
    written = storage.get_storage_account(submission.publishes) if is_own else ""
    return {**accounts, **({written: True} if written else {})}
