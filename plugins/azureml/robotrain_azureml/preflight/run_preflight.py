"""A look at everything that would stop a plan, before anything is sent: all at once, side by side."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from robotrain.errors import Problem, Rejected, Stage
from robotrain.model.plan import Plan
from robotrain.model.workload import OutputProfile
from robotrain_azure import preflight_checks
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.preflight import assets as preflight_assets
from robotrain_azureml.preflight import compute, context, machines, roles, storage
from robotrain_azureml.preflight.context import API_VERSION, PATIENCE_SECONDS, PreflightContext
from robotrain_azureml.spec import submission_spec
from robotrain_azureml.spec import submission_spec as orders
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec, WorkspaceAsset
from robotrain_azureml.submit import job_file, sdk, upload

SIGNED_OUT_CODE = "azureml-signed-out"
IDENTITY_ROLES = "the roles of the job's identity"
ASSET_THREADS = 4
"""Looks at assets: there may be 64."""


def run_preflight(plan: Plan) -> Iterable[Problem]:
    """What would make this plan fail, or wait, and what is worth knowing. Changes nothing."""
    sdk.start_import()
    try:
        order = submission_spec.load_submission_spec(plan, Stage.PREFLIGHT)
    except Rejected as rejected:
        return rejected.problems
    if changed := job_file.find_edit_problems(plan, order, Stage.PREFLIGHT):
        return changed
    told = document.parse_document(plan.files[orders.DOCUMENT_FILE].decode())
    here = preflight_checks.run_checks(
        [partial(_check_azure, order, told, plan.job.profile.outputs), partial(_check_local, plan, order, told)]
    )
    return _drop_echoes(here)


def _check_azure(spec: AzureMLSubmissionSpec, document: JobDocument, outputs: OutputProfile) -> Iterator[Problem]:
    """The workspace first: who is not let in there is told so once, and signs in for all looks."""
    looking = PreflightContext(ArmClient(PATIENCE_SECONDS), spec)
    try:
        looking = PreflightContext(looking.arm, spec, looking.arm.get(spec.target_workspace.resource, API_VERSION))
    except ArmError as error:
        problem = context.make_workspace_problem(error, spec.target_workspace)
        yield problem
        if problem.severity == "error":
            return
    unchecked = context.UncheckedParts(spec.target_workspace)
    environment = f"the environment {spec.environment.name}"
    described = (
        preflight_assets.list_describing_files(document) if any(one.kind == "data" for one in spec.assets) else ()
    )
    assets = partial(_check_assets, looking, unchecked, described)
    yield from preflight_checks.run_checks(
        [
            unchecked.collect_errors(f"the compute {spec.compute}", partial(compute.check_compute, looking)),
            unchecked.collect_errors(environment, partial(preflight_assets.check_environment, looking)),
            unchecked.collect_errors("the roles of who is signed in", partial(roles.check_caller_roles, looking)),
            unchecked.collect_errors(
                f"the datastore {spec.datastore}", partial(storage.check_storage, looking, document)
            ),
            unchecked.collect_errors(IDENTITY_ROLES, partial(roles.check_model_roles, looking, document)),
            partial(machines.check_preemption, looking, document, outputs),
            *(partial(assets, spec.assets[start::ASSET_THREADS]) for start in range(ASSET_THREADS)),
            *(partial(storage.check_vault_reachability, secret) for secret in spec.secrets),
            *(
                unchecked.collect_errors(IDENTITY_ROLES, partial(roles.check_vault_role, looking, secret))
                for secret in spec.secrets
            ),
        ]
    )
    yield from unchecked.make_problems()


def _check_assets(
    preflight: PreflightContext,
    unchecked: context.UncheckedParts,
    describing_files: Sequence[str],
    assets: Sequence[WorkspaceAsset],
) -> Iterator[Problem]:
    for asset in assets:
        yield from unchecked.collect_errors(
            preflight_assets.format_asset(asset),
            partial(preflight_assets.check_asset, preflight, asset, describing_files),
        )()


def _check_local(plan: Plan, spec: AzureMLSubmissionSpec, document: JobDocument) -> Iterator[Problem]:
    """The data as this machine may see it, and the folders that are uploaded from it."""
    yield from upload.check_uploads(plan, spec)
    yield from preflight_checks.check_data(document)


def _drop_echoes(problems: list[Problem]) -> list[Problem]:
    """Where nobody is signed in, nothing was seen of the data either: that is one thing to mend."""
    if not any(one.code == SIGNED_OUT_CODE for one in problems):
        return problems
    return [one for one in problems if one.severity == "error"]
