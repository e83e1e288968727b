"""Render a job to the plan of a process, and check its settings. Pure, except for where robotrain's folders are."""

import dataclasses
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model import plan
from robotrain.model.job import Job
from robotrain.model.plan import Payload
from robotrain.model.preview import RunPlace
from robotrain.run_folder import file_names, settings_rules
from robotrain.run_folder.placement import make_placement
from robotrain.run_folder.settings import NO_TRACKING, SQLITE_SCHEME
from robotrain.store import files
from robotrain_runtime.contract.document import DOCUMENT_FILE, MACHINE_BUILD, format_document
from robotrain_runtime.machine import hardware
from robotrain_runtime.process.stop import GRACE_VARIABLE

from robotrain_local import spec
from robotrain_local.settings import LocalSettings

make_problem = Messages(__file__)

DATABASE = "mlflow.db"
"""The file, in the state folder, in which runs are tracked by default."""
TRAINER_GRACE_SECONDS = 30
OTHER_ACCELERATORS = ("/dev/kfd", "/dev/dri")
"""What a machine has whose accelerator is none of NVIDIA's."""


def render_plan(
    job: Job, settings: LocalSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> plan.Plan:
    """Return the plan: the process, the job document and the payload."""
    folder = get_run_folder(settings, run)
    cache = str(files.get_cache_folder())
    tracking_uri = get_tracking_uri(settings)
    placement = make_placement(job, settings, str(folder), cache=cache, tracking_uri=tracking_uri)
    if settings.torch_backend is None and settings.environment is None:
        placement = dataclasses.replace(placement, torch_backend=MACHINE_BUILD)
    process = spec.ProcessSpec(
        run=run,
        folder=str(folder),
        payload=payload.digest,
        arguments=("run", DOCUMENT_FILE),
        environment={
            "PYTHONPATH": str(folder / file_names.PAYLOAD_FOLDER),
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


def get_run_folder(settings: LocalSettings, run: str) -> Path:
    """Return the folder of a run."""
    return Path(settings.runs_dir or files.get_state_folder() / "local") / run


def describe_run(settings: LocalSettings, run: str) -> RunPlace:
    """Return where a run works; nothing limits its time."""
    tracking = get_tracking_uri(settings) or NO_TRACKING
    return RunPlace("none", str(get_run_folder(settings, run)), tracking=tracking, lacks_gpu=lacks_gpu)


def lacks_gpu() -> bool:
    """Return whether this machine has nothing to compute on but its CPU, as far as that can be told."""
    is_other = platform.system() != "Linux" or any(map(os.path.exists, OTHER_ACCELERATORS))
    return not is_other and not hardware.count_visible_gpus()


def get_tracking_uri(settings: LocalSettings) -> str:
    """Return the tracking URI of the job document, or "" without tracking."""
    if settings.tracking_uri == NO_TRACKING:
        return ""
    return settings.tracking_uri or f"{SQLITE_SCHEME}{files.get_state_folder() / DATABASE}"


def check_settings(job: Job, settings: LocalSettings) -> Iterator[Problem]:
    """Check the system, the tracking URI, the PyTorch build and the secrets."""
    if sys.platform != "linux":
        yield make_problem("feature-not-there", given="local")
    yield from settings_rules.check_tracking_uri(settings.tracking_uri or "")
    yield from settings_rules.check_torch_backend(settings.torch_backend, settings.environment)
    yield from settings_rules.check_secrets(settings.secrets)
