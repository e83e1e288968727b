"""Render a job to the plan of a process. Pure, except for the location of robotrain's folders."""

from collections.abc import Mapping
from pathlib import Path

from robotrain.model import plan
from robotrain.model.job import Job
from robotrain.model.plan import Payload
from robotrain.store import files
from robotrain_runtime.contract.document import Placement, format_document
from robotrain_runtime.process.stop import GRACE_VARIABLE

from robotrain_local import spec
from robotrain_local.settings import SQLITE_SCHEME, LocalSettings

DOCUMENT_FILE = "job.json"
TRAINER_GRACE_SECONDS = 30


def render_plan(
    job: Job, settings: LocalSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> plan.Plan:
    """Return the plan: the process, the job document and the payload."""
    folder = Path(settings.runs_dir or files.get_state_folder() / "local") / run
    placement = Placement(
        work=str(folder),
        cache=str(files.get_cache_folder()),
        tracking_uri=settings.tracking_uri or f"{SQLITE_SCHEME}{files.get_state_folder() / 'mlflow.db'}",
        environment=settings.environment,
        torch_backend=settings.torch_backend,
        credentials=_list_credential_files(settings),
        download_mib=settings.download_mib,
        cache_gib=settings.cache_gib,
    )
    process = spec.ProcessSpec(
        run=run,
        folder=str(folder),
        payload=payload.digest,
        arguments=("run", DOCUMENT_FILE),
        environment={
            "PYTHONPATH": str(folder / spec.PAYLOAD_FOLDER),
            "PYTHONUNBUFFERED": "1",
            GRACE_VARIABLE: str(TRAINER_GRACE_SECONDS),
        },
    )
    document = plan.make_job_document(
        job, run=run, platform="local", container_plugins=container_plugins, placement=placement
    )
    return plan.Plan(
        platform="local",
        run=run,
        job=job,
        spec=spec.SPEC_FILE,
        files={
            spec.SPEC_FILE: spec.dump_spec(process),
            DOCUMENT_FILE: format_document(document).encode(),
            spec.PAYLOAD_FILE: payload.archive,
        },
        shown=(spec.SPEC_FILE, DOCUMENT_FILE),
    )


def _list_credential_files(settings: LocalSettings) -> dict[str, str]:
    """Return the paths of the credential files by source kind, never their content."""
    paths = {"blob_url": settings.blob_credential_file, "huggingface": settings.hub_token_file}
    return {kind: file for kind, file in paths.items() if file}
