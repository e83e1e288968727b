"""The job file that is published with the checkpoints of a job, so that others can submit it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from robotrain_runtime.contract.checkpoint import PUBLISHED_JOB_FILE, is_machine_path

from robotrain.config.job_writer import join_blocks
from robotrain.model.job import OWN_PARAMETER, TRAINER_ARGS, Job
from robotrain.store.run_values import RESUME_ROLE, is_chosen_row


def format_published_job(job: Job, value_rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the job file of a job: without settings of its platform, and with a comment in place of each folder and
    file of its machine.

    :param value_rows: as those of a plan.
    """
    comments = [f"# The job of these checkpoints: robotrain submit {PUBLISHED_JOB_FILE} --platform NAME"]
    sources: dict[str, list[dict[str, str]]] = {}
    for source in job.sources:
        if source.role == RESUME_ROLE or source.implied:
            continue
        if is_machine_path(source.uri):
            comments.append(f"# {source.role}: a folder of another machine; give a copy of it.")
            continue
        sources.setdefault(source.role, []).append({source.kind: source.uri})
        if source.pin:
            comments.append(f"# {source.role}: {source.uri} was {source.pin}.")
    row_by_name = {row["name"]: row for row in value_rows if is_chosen_row(row)}
    document: dict[str, Any] = {"workload": job.workload, "sources": sources, "parameters": {}, "params": {}}
    for name, value in job.parameters:
        if name not in row_by_name or value is None:
            continue
        if is_machine_path(value):
            comments.append(f"# {name}: a file or folder of another machine; give a copy of it.")
        else:
            document["params" if row_by_name[name].get(OWN_PARAMETER) else "parameters"][name] = value
    document[TRAINER_ARGS] = ["PATH" if is_machine_path(word) else word for word in job.trainer_args]
    return join_blocks(comments, document)
