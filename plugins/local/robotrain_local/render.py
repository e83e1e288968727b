"""From a job to the plan of a process. Pure: no clock, no randomness; only where robotrain's folders are is read."""

from collections.abc import Mapping
from pathlib import Path

from robotrain import folders, plan
from robotrain.job import Job
from robotrain.payload import Payload
from robotrain_runtime.document import Placement, dump
from robotrain_runtime.stop import GRACE

from robotrain_local import folder as files
from robotrain_local import spec
from robotrain_local.settings import SQLITE, Settings

JOB = "job.json"
TRAINER_GRACE_SECONDS = 30


def render(job: Job, settings: Settings, run: str, payload: Payload, halves: Mapping[str, str]) -> plan.Plan:
    """The plan: the process, the job document and the payload."""
    folder = Path(settings.runs_dir or folders.state() / "local") / run
    placement = Placement(
        work=str(folder),
        cache=str(folders.cache()),
        tracking_uri=settings.tracking_uri or f"{SQLITE}{folders.state() / 'mlflow.db'}",
        environment=settings.environment,
        torch_backend=settings.torch_backend,
        credentials=_credentials(settings),
        download_mib=settings.download_mib,
        cache_gib=settings.cache_gib,
    )
    process = spec.Spec(
        run=run,
        folder=str(folder),
        payload=payload.digest,
        arguments=("run", JOB),
        environment={
            "PYTHONPATH": str(folder / files.UNPACKED),
            "PYTHONUNBUFFERED": "1",
            GRACE: str(TRAINER_GRACE_SECONDS),
        },
    )
    document = plan.document(job, run=run, platform="local", halves=halves, placement=placement)
    return plan.Plan(
        platform="local",
        run=run,
        job=job,
        spec=spec.FILE,
        files={
            spec.FILE: spec.dump(process),
            JOB: dump(document).encode(),
            files.PAYLOAD: payload.archive,
        },
        shown=(spec.FILE, JOB),
    )


def _credentials(settings: Settings) -> dict[str, str]:
    """By source kind, the files that hold a secret; never what is in them."""
    files = {"blob_url": settings.blob_credential_file, "huggingface": settings.hub_token_file}
    return {kind: file for kind, file in files.items() if file}
