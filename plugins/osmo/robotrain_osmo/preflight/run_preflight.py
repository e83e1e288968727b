"""Run all preflight checks in parallel; checks of inputs, uploads, datasets and Azure roles."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.plan import Plan
from robotrain_azure import preflight_checks, upload_rules, workspace
from robotrain_azure import preflight_checks as azure
from robotrain_runtime.contract import document

from robotrain_osmo.client import service
from robotrain_osmo.client.failures import UNREACHABLE_CODES, CommandFailed
from robotrain_osmo.kinds import dataset, storage
from robotrain_osmo.preflight import service as preflight_service
from robotrain_osmo.spec import submission_spec, workflow
from robotrain_osmo.spec import submission_spec as orders
from robotrain_osmo.spec.inputs import DATASET_SERVERS
from robotrain_osmo.spec.submission_spec import OsmoInput, OsmoSubmissionSpec, OsmoUpload
from robotrain_osmo.submit import upload

QUERY_SECONDS = 20.0
"""For each answer of the service."""


def run_preflight(plan: Plan) -> Iterable[Problem]:
    """What would make this plan fail, or wait, and what is worth knowing. Changes nothing."""
    try:
        order = submission_spec.load_submission_spec(plan, Stage.PREFLIGHT)
    except Rejected as rejected:
        return rejected.problems
    told = preflight_checks.run_checks(
        [
            partial(workflow.check_workflow_size, plan),
            partial(_run_check, partial(preflight_service.check_versions, order, QUERY_SECONDS)),
            partial(_run_check, partial(preflight_service.check_pool, order, QUERY_SECONDS)),
            partial(_run_check, partial(preflight_service.check_credentials, order, QUERY_SECONDS)),
            partial(preflight_service.check_retry_limit, order, QUERY_SECONDS),
            partial(check_datasets, plan, order, QUERY_SECONDS),
            *(partial(check_input, order, one, QUERY_SECONDS) for one in order.inputs),
            *(partial(check_upload, plan, order, one, QUERY_SECONDS) for one in order.uploads),
            partial(check_azure_access, plan, order),
            partial(_check_data_access, plan),
        ]
    )
    return _drop_consequences(told)


def _drop_consequences(problems: list[Problem]) -> list[Problem]:
    """What is not only so because the service is of another version, which takes a dataset from another place."""
    other = any(one.code == preflight_service.OTHER_VERSION_CODE and one.severity == "error" for one in problems)
    return [
        one for one in problems if not (other and one.code == "osmo-input-empty" and one.where == dataset.DATASET_FLAG)
    ]


def _check_data_access(plan: Plan) -> Iterator[Problem]:
    yield from preflight_checks.check_data(document.parse_document(plan.files[orders.DOCUMENT_FILE].decode()))


def _run_check(check: "partial[Iterator[Problem]]") -> Iterator[Problem]:
    """What a look finds, or why the service did not answer it."""
    try:
        yield from check()
    except CommandFailed as refused:
        yield refused.failure.to_problem(Stage.PREFLIGHT)


_MANUAL_DOWNLOAD = Suggestion("osmo dataset download NAME FOLDER", "with a 6.3 command; then --dataset-path FOLDER")


def check_input(order: OsmoSubmissionSpec, required: OsmoInput, seconds: float) -> Iterator[Problem]:
    """An input where nothing lies: OSMO brings an empty folder and calls that success."""
    try:
        nothing = service.is_storage_empty(order.cli, required.url, seconds)
    except CommandFailed as refused:
        yield _make_unchecked_input_problem(required, refused)
        return
    if nothing:
        named = required.flag == dataset.DATASET_FLAG
        yield Problem(
            code="osmo-input-empty",
            stage=Stage.PREFLIGHT,
            title="nothing lies where the data should be",
            where=required.flag,
            given=required.url,
            why="OSMO would bring an empty folder, and call that success."
            + (f" {dataset.LEGACY_DATASET_NOTE}" if named else ""),
            suggestions=(
                Suggestion(f"osmo data list {required.url.rpartition('/')[0]} --no-pager", "shows what is there"),
                *([_MANUAL_DOWNLOAD] if named else []),
            ),
        )


def check_upload(plan: Plan, order: OsmoSubmissionSpec, item: OsmoUpload, seconds: float) -> Iterator[Problem]:
    """What stops an upload, or how much will be uploaded."""
    wrong = [*upload.check_uploadable(plan, item, Stage.PREFLIGHT)] if item.path else []
    try:
        there = service.list_stored_files(order.cli, item.url, Stage.PREFLIGHT, seconds)
    except CommandFailed as refused:
        yield from wrong or [_make_unlisted_problem(item, refused)]
        return
    if not item.path or upload.is_complete(item, there):
        return
    folder = upload_rules.select_uploaded_part(plan, item.path)
    yield from upload_rules.check_upload_secrets(item.path, item.flag, folder, Stage.PREFLIGHT)
    yield from wrong or [_make_upload_note(item, f"{upload_rules.scan_folder(folder)}, will be uploaded")]


def _make_unlisted_problem(item: OsmoUpload, failed: CommandFailed) -> Problem:
    """What keeps this machine from uploading; what may pass by itself does not: the submit looks again."""
    problem = failed.failure.to_problem(Stage.PREFLIGHT)
    if failed.failure.code not in UNREACHABLE_CODES:
        return replace(problem, where=problem.where or item.flag, given=item.url)
    return Problem(
        code="osmo-upload-unchecked",
        stage=Stage.PREFLIGHT,
        title="what of it is uploaded already was not found out in the time that there is for a look",
        where=item.flag,
        given=item.url,
        why="The submit looks again, and waits longer: a list of very many files takes minutes.",
        severity="warning",
    )


def _make_upload_note(item: OsmoUpload, title: str) -> Problem:
    return Problem(
        code="osmo-upload",
        stage=Stage.PREFLIGHT,
        title=title,
        where=item.flag,
        given=item.path,
        why=f"They go to {item.url}.",
        severity="note",
    )


def _make_unchecked_input_problem(required: OsmoInput, failed: CommandFailed) -> Problem:
    """This machine may not look; the workflow may be let in all the same."""
    return Problem(
        code="osmo-input-unchecked",
        stage=Stage.PREFLIGHT,
        title="whether there is data cannot be seen from this machine",
        where=required.flag,
        given=required.url,
        why=f"{failed.failure.title[:1].upper()}{failed.failure.title[1:]}.",
        suggestions=failed.failure.instead,
        severity="warning",
    )


MISSING_CODES = ("osmo-bucket-unknown", "osmo-dataset-unknown")


def check_datasets(plan: Plan, order: OsmoSubmissionSpec, seconds: float) -> Iterator[Problem]:
    """Those that are not there. Nothing where that is not told: other looks say what is wrong with a service."""
    for name in _list_dataset_names(plan) if order.server in DATASET_SERVERS else ():
        try:
            service.query_json(order.cli, "dataset", "info", name, "-t", "json", seconds=seconds, stage=Stage.PREFLIGHT)
        except CommandFailed as refused:
            if refused.failure.code in MISSING_CODES:
                problem = refused.failure.to_problem(Stage.PREFLIGHT)
                yield replace(problem, where=dataset.DATASET_FLAG, given=name)


def _list_dataset_names(plan: Plan) -> list[str]:
    """Each as `BUCKET/NAME`, with its version where it has one."""
    told = document.parse_document(plan.files[orders.DOCUMENT_FILE].decode())
    theirs = {(one.role, one.uri) for one in told.sources if one.kind == dataset.KIND.name}
    return [one.origin for one in told.placement.mounts if (one.role, one.uri) in theirs]


def check_azure_access(plan: Plan, order: OsmoSubmissionSpec) -> Iterator[Problem]:
    """What Azure says to whoever is signed in here; nothing when the job has nothing to do with it."""
    told = document.parse_document(plan.files[orders.DOCUMENT_FILE].decode())
    if found := workspace.parse_tracking_uri(told.placement.tracking_uri):
        yield from azure.check_workspace(found)
    reached = find_storage_accounts(told, order) if order.identity else {}
    subscription = order.subscription or (found.subscription if found else "")
    if reached and subscription:
        yield from azure.check_identity_blob_roles(order.identity, subscription, reached)
    elif reached:
        yield _make_no_subscription_problem(order.identity, ", ".join(sorted(reached)))


def _make_no_subscription_problem(identity: str, names: str) -> Problem:
    """Accounts are looked up in a subscription. names: theirs."""
    return Problem(
        code="azure-unchecked",
        stage=Stage.PREFLIGHT,
        title=f"the roles of the job's identity could not be checked: {names}",
        where=azure.IDENTITY_FLAG,
        given=identity,
        why="Nobody says which subscription they are in.",
        suggestions=(Suggestion("--subscription-id ID"),),
        severity="warning",
    )


def find_storage_accounts(job_document: document.JobDocument, order: OsmoSubmissionSpec) -> dict[str, bool]:
    """The storage accounts that the job reaches with its identity, and whether it writes there."""
    own = "blob_url" not in job_document.placement.credentials
    read = [source.uri for source in job_document.sources if source.kind == "blob_url" and own]
    read += [one.url for one in order.inputs] + [one.url for one in order.uploads]
    found = {name: False for name in map(storage.get_storage_account, read) if name}
    written = storage.get_storage_account(order.publishes) if own or order.publishes.startswith("azure:") else ""
    return {**found, **({written: True} if written else {})}
