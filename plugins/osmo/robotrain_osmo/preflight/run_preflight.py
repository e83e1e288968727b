"""Preflight of a plan: all checks in parallel; checks of inputs, uploads, datasets and Azure roles."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.plan import Plan
from robotrain_azure import preflight_checks, upload_rules, workspace
from robotrain_runtime.contract import document

from robotrain_osmo.client import service
from robotrain_osmo.client.failures import UNREACHABLE_CODES, CommandFailed
from robotrain_osmo.kinds import dataset, storage
from robotrain_osmo.preflight import service as preflight_service
from robotrain_osmo.spec import submission_spec, workflow
from robotrain_osmo.spec.inputs import DATASET_SERVERS
from robotrain_osmo.spec.submission_spec import OsmoInput, OsmoSubmissionSpec, OsmoUpload
from robotrain_osmo.submit import upload

QUERY_SECONDS = 20.0
"""For each query of the service."""


def run_preflight(plan: Plan) -> Iterable[Problem]:
    """Find problems that would make the plan fail or wait. Nothing is changed."""
    try:
        submission = submission_spec.SUBMISSION.load(plan, Stage.PREFLIGHT)
    except Rejected as rejected:
        return rejected.problems
    problems = preflight_checks.run_checks(
        [
            partial(workflow.check_workflow_size, plan),
            partial(_run_check, partial(preflight_service.check_versions, submission, QUERY_SECONDS)),
            partial(_run_check, partial(preflight_service.check_pool, submission, QUERY_SECONDS)),
            partial(_run_check, partial(preflight_service.check_credentials, submission, QUERY_SECONDS)),
            partial(preflight_service.check_retry_limit, submission, QUERY_SECONDS),
            partial(check_datasets, plan, submission, QUERY_SECONDS),
            *(partial(check_input, submission, item, QUERY_SECONDS) for item in submission.inputs),
            *(partial(check_upload, plan, submission, item, QUERY_SECONDS) for item in submission.uploads),
            partial(check_azure_access, plan, submission),
            partial(_check_data_access, plan),
        ]
    )
    return _drop_consequences(problems)


def _drop_consequences(problems: list[Problem]) -> list[Problem]:
    """Drop missing datasets if the service has another version, which looks for them elsewhere."""
    if not any(item.code == "osmo-server-other" and item.severity == "error" for item in problems):
        return problems
    return [item for item in problems if (item.code, item.where) != ("osmo-input-empty", dataset.DATASET_FLAG)]


def _check_data_access(plan: Plan) -> Iterator[Problem]:
    yield from preflight_checks.check_data(document.parse_document(plan.files[submission_spec.DOCUMENT_FILE].decode()))


def _run_check(check: "partial[Iterator[Problem]]") -> Iterator[Problem]:
    """Run a check; yield its problems, or why the service did not answer."""
    try:
        yield from check()
    except CommandFailed as error:
        yield error.failure.to_problem(Stage.PREFLIGHT)


_MANUAL_DOWNLOAD = Suggestion("osmo dataset download NAME FOLDER", "with a 6.3 command, then --dataset-path FOLDER")


def check_input(submission: OsmoSubmissionSpec, required: OsmoInput, seconds: float) -> Iterator[Problem]:
    """Check that an input exists: otherwise OSMO provides an empty folder and reports success."""
    try:
        is_empty = service.is_storage_empty(submission.cli, required.url, seconds)
    except CommandFailed as error:
        yield _make_unchecked_input_problem(required, error)
        return
    if is_empty:
        is_dataset = required.flag == dataset.DATASET_FLAG
        yield Problem(
            code="osmo-input-empty",
            stage=Stage.PREFLIGHT,
            title="the input is empty",
            where=required.flag,
            given=required.url,
            why="OSMO would provide an empty folder and report success."
            + (f" {dataset.LEGACY_DATASET_NOTE}" if is_dataset else ""),
            suggestions=(
                Suggestion(f"osmo data list {required.url.rpartition('/')[0]} --no-pager", "lists the storage"),
                *([_MANUAL_DOWNLOAD] if is_dataset else []),
            ),
        )


def check_upload(plan: Plan, submission: OsmoSubmissionSpec, item: OsmoUpload, seconds: float) -> Iterator[Problem]:
    """Check that an input can be uploaded, and note the size of the upload."""
    problems = [*upload.check_uploadable(plan, item, Stage.PREFLIGHT)] if item.path else []
    try:
        stored = service.list_stored_files(submission.cli, item.url, Stage.PREFLIGHT, seconds)
    except CommandFailed as error:
        yield from problems or [_make_unlisted_problem(item, error)]
        return
    if not item.path or upload.is_complete(item, stored):
        return
    folder = upload_rules.select_uploaded_part(plan, item.path)
    yield from upload_rules.check_upload_secrets(item.path, item.flag, folder, Stage.PREFLIGHT)
    yield from problems or [_make_upload_note(item, f"{upload_rules.scan_folder(folder)}, will be uploaded")]


def _make_unlisted_problem(item: OsmoUpload, failed: CommandFailed) -> Problem:
    """Return why the storage could not be listed: only a warning if that may pass until the submit."""
    problem = failed.failure.to_problem(Stage.PREFLIGHT)
    if failed.failure.code not in UNREACHABLE_CODES:
        return replace(problem, where=problem.where or item.flag, given=item.url)
    return Problem(
        code="osmo-upload-unchecked",
        stage=Stage.PREFLIGHT,
        title="could not list the uploaded files in time",
        where=item.flag,
        given=item.url,
        why="The submit lists them again and waits longer: many files take minutes.",
        severity="warning",
    )


def _make_upload_note(item: OsmoUpload, title: str) -> Problem:
    return Problem(
        code="osmo-upload",
        stage=Stage.PREFLIGHT,
        title=title,
        where=item.flag,
        given=item.path,
        why=f"The target is {item.url}.",
        severity="note",
    )


def _make_unchecked_input_problem(required: OsmoInput, failed: CommandFailed) -> Problem:
    """Return a warning that this machine cannot list an input; the workflow may be able to read it."""
    return Problem(
        code="osmo-input-unchecked",
        stage=Stage.PREFLIGHT,
        title="cannot check the input from this machine",
        where=required.flag,
        given=required.url,
        why=f"{failed.failure.title[:1].upper()}{failed.failure.title[1:]}.",
        suggestions=failed.failure.suggestions,
        severity="warning",
    )


MISSING_CODES = ("osmo-bucket-unknown", "osmo-dataset-unknown")


def check_datasets(plan: Plan, submission: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """Check that OSMO datasets exist. Other failures are reported by other checks."""
    for name in _list_dataset_names(plan) if submission.server in DATASET_SERVERS else ():
        try:
            service.query_json(
                submission.cli, "dataset", "info", name, "-t", "json", seconds=seconds, stage=Stage.PREFLIGHT
            )
        except CommandFailed as error:
            if error.failure.code in MISSING_CODES:
                problem = error.failure.to_problem(Stage.PREFLIGHT)
                yield replace(problem, where=dataset.DATASET_FLAG, given=name)


def _list_dataset_names(plan: Plan) -> list[str]:
    """Return the OSMO datasets of a plan as `BUCKET/NAME[:VERSION]`."""
    job_document = document.parse_document(plan.files[submission_spec.DOCUMENT_FILE].decode())
    datasets = {(item.role, item.uri) for item in job_document.sources if item.kind == dataset.KIND.name}
    return [mount.origin for mount in job_document.placement.mounts if (mount.role, mount.uri) in datasets]


def check_azure_access(plan: Plan, submission: OsmoSubmissionSpec) -> Iterator[Problem]:
    """Check the workspace and the identity's roles, as the account that is signed in on this machine."""
    job_document = document.parse_document(plan.files[submission_spec.DOCUMENT_FILE].decode())
    if target := workspace.parse_tracking_uri(job_document.placement.tracking_uri):
        yield from preflight_checks.check_workspace(target)
    accounts = find_storage_accounts(job_document, submission) if submission.identity else {}
    subscription = submission.subscription or (target.subscription if target else "")
    if accounts and subscription:
        yield from preflight_checks.check_identity_blob_roles(submission.identity, subscription, accounts)
    elif accounts:
        yield _make_no_subscription_problem(submission.identity, ", ".join(sorted(accounts)))


def _make_no_subscription_problem(identity: str, accounts: str) -> Problem:
    return Problem(
        code="azure-unchecked",
        stage=Stage.PREFLIGHT,
        title=f"cannot check the roles of the job's identity on {accounts}",
        where=preflight_checks.IDENTITY_FLAG,
        given=identity,
        why="The subscription of the storage accounts is not set.",
        suggestions=(Suggestion("--subscription-id ID"),),
        severity="warning",
    )


def find_storage_accounts(job_document: document.JobDocument, submission: OsmoSubmissionSpec) -> dict[str, bool]:
    """Return the storage accounts that the job uses with its identity, and whether it writes to each."""
    has_no_credential = "blob_url" not in job_document.placement.credentials
    read = [source.uri for source in job_document.sources if source.kind == "blob_url" and has_no_credential]
    read += [item.url for item in submission.inputs] + [item.url for item in submission.uploads]
    accounts = {name: False for name in map(storage.get_storage_account, read) if name}
    written = (
        storage.get_storage_account(submission.publishes)
        if has_no_credential or submission.publishes.startswith("azure:")
        else ""
    )
    return {**accounts, **({written: True} if written else {})}
