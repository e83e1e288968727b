"""Checkpoints copied to `--publish-url`: the target, what may lie there, and the steps at which one is saved."""

from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import ArtifactTarget
from robotrain_runtime.contract.document import Folders, JobDocument
from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads import publish_url
from robotrain_workloads.lerobot.job import LerobotJob


def list_targets(document: JobDocument, data: Folders) -> Iterator[ArtifactTarget]:
    """Yield the target of `--publish-url`, where checkpoints are copied to."""
    url = str(document.parameters["publish_url"] or "")
    keep = document.parameters["keep"]
    if not url:
        return
    job = LerobotJob(document, data)
    first_step: int | None = job.start.step
    if (
        not first_step and job.start_source and job.start_source.role == "resume"
    ):  # its data is not here: its name may tell
        name = job.start_source.uri.rstrip("/").rpartition("/")[2]
        first_step = int(name) if name.isdecimal() else None
    yield ArtifactTarget(
        to=publish_url.parse_publish_url(url),
        keep_last=None if keep is None else int(str(keep)),
        saves_step=None if first_step is None else lambda step: _is_saved_step(job, first_step, step),
        suggestion=publish_url.OTHER_FOLDER_HINT,
    )


def find_problems(job: LerobotJob, output: Path) -> Problems:
    """Yield why checkpoints cannot be copied from this machine."""
    url, run = str(job.parameters["publish_url"] or ""), job.document.run
    problems = list(publish_url.find_write_problems(url, output, "checkpoints"))
    yield from problems
    if not url or problems or publish_url.is_remote_url(url):
        return
    folder = Path(publish_url.parse_folder(url))
    for step, path in checkpoint.list_checkpoints(folder):
        manifest = checkpoint.read_manifest(path)
        if manifest and manifest.run != run and _is_saved_step(job, job.start.step, step):
            conflict = f"it has {path.name} of the run {manifest.run}"  # this run would save one of that name
            yield make_data_problem(
                f"checkpoints cannot be published to {folder}: {conflict}", publish_url.OTHER_FOLDER_HINT
            )
            return


def list_saved_steps(job: LerobotJob) -> list[int]:
    """Return the steps after the first one at which a checkpoint is saved; none if that depends on validations."""
    if job.parameters["stop_after_no_improvement"]:
        return []
    last_step, interval = job.parameters["training_steps"], job.parameters["save_freq"]
    return [step for step in (*range(interval, last_step, interval), last_step) if step > job.start.step]


def _is_saved_step(job: LerobotJob, first_step: int, step: int) -> bool:
    parameters = job.parameters
    last_step, interval = parameters["training_steps"], parameters["save_freq"]
    validation_interval = (parameters["eval_freq"] or interval) if parameters["stop_after_no_improvement"] else interval
    return bool(
        first_step < step <= last_step
        and (step % interval == 0 or step % validation_interval == 0 or step == last_step)
    )
