"""The list of checks: of a plan before anything is submitted, or of this machine's setup."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from robotrain.errors import Problem, Stage, select_errors
from robotrain.model.health import Check, HealthResult, RunCheck, find_problems
from robotrain.model.plan import Plan
from robotrain_azure import preflight_checks
from robotrain_azure.lookup import LookupClient
from robotrain_azure.models import registry
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobSource

from robotrain_azureml.errors import PROBLEM_CODES
from robotrain_azureml.preflight import assets, compute, context, setup
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import job_settings, submission_spec
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec
from robotrain_azureml.submit import errors, job_file, sdk, upload
from robotrain_azureml.submit.job_file import list_parts


def list_checks(plan: Plan | None) -> list[Check]:
    """Return the checks; those of each job of a plan follow its own answers. Raise Rejected."""
    if plan is None:
        return setup.list_checks()
    sdk.start_import()
    parts = list_parts(plan, Stage.PREFLIGHT)
    return [Check(name="azureml job", run=partial(_check_part, part.plan, part.spec)) for part in parts]


def pin_source(source: JobSource, settings: AzureMLSettings) -> str:
    """Return the latest version of a model of the job's workspace. Raise SourceError."""
    return registry.find_latest_version(source, job_settings.get_job_workspace(settings))


def read_tags(source: JobSource, settings: AzureMLSettings) -> Mapping[str, str]:
    """Return the tags of a model of a workspace; empty if they cannot be read."""
    return registry.read_tags(source, job_settings.get_job_workspace(settings))


def _check_part(plan: Plan, spec: AzureMLSubmissionSpec) -> list[Problem]:
    job_document = document.parse_document(plan.files[submission_spec.DOCUMENT_FILE].decode())
    data_check = partial(preflight_checks.check_data, job_document)
    patched = [partial(_check_patched_job, plan)] if spec.is_patched else []
    return find_problems([partial(_check_azure, spec), partial(upload.check_uploads, plan, spec), data_check, *patched])


def _check_patched_job(plan: Plan) -> Iterator[Problem]:
    """Have Azure ML's SDK read the job, as the submit does."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        files = {Path(folder, path): file_bytes for path, file_bytes in job_file.make_files(plan, plan.run).items()}
        for path, file_bytes in files.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file_bytes)
        try:
            sdk.load_job(next(iter(files)))
        except Exception as error:  # whatever the SDK raises
            yield errors.make_unreadable_job_problem(error, Stage.PREFLIGHT, is_patched=True)


def drop_consequences(problems: Iterable[Problem]) -> Sequence[Problem]:
    """Return the problems without the warnings that a missing sign-in causes."""
    all_problems = [*problems]
    is_signed_out = any(problem.code == PROBLEM_CODES["signed-out"] for problem in all_problems)
    return select_errors(all_problems) if is_signed_out else all_problems


def _check_azure(spec: AzureMLSubmissionSpec) -> Iterator[Problem | HealthResult]:
    """Check that the workspace of a job exists, and everything in it that the job needs."""

    def list_parts(preflight: PreflightContext) -> list[tuple[str, RunCheck]]:
        return [
            (f"the compute {spec.compute}", partial(compute.check_compute, preflight)),
            (f"the environment {spec.environment.name}", partial(assets.check_environment, preflight)),
            (f"the datastore {spec.datastore}", partial(assets.check_storage, preflight)),
            *((asset.format_value(), partial(assets.check_asset, preflight, asset)) for asset in spec.assets),
        ]

    return context.check_workspace(PreflightContext(LookupClient(), spec), list_parts)
