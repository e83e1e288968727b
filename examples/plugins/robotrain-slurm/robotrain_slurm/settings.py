"""Settings and capabilities of Slurm, and what submitit is given."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from robotrain.plugin import ANY, YES, Capabilities, Param, RunState, Support, no


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The folders are on a disk that every node sees under the same path."""

    cluster: Annotated[Literal["slurm", "local"], Param(help="local: on this machine, without a queue")] = "slurm"
    slurm: Annotated[str | None, Param(help="options of sbatch: partition=gpu,mem=64G,requeue", json=True)] = None
    gpus: Annotated[int | None, Param(help="GPUs of the node (default: as many as the job trains on)", ge=0)] = None
    time: Annotated[int, Param(help="time limit in minutes", gt=0)] = 1440
    folder: Annotated[str, Param(help="folder of the runs", path=True, pattern="^[^%\n]*$", pattern_help="no %")] = (
        "~/robotrain-runs"
    )
    cache_folder: Annotated[str, Param(help="cache of environments and data", path=True)] = "~/.cache/robotrain"
    tracking_uri: Annotated[str | None, Param(help="MLflow address (default: not tracked)", metavar="ADDRESS")] = None


OPTION_NAME = "(?!array|error|job-name|output|time|wrap)[a-z][a-z-]*"
FLAGS = "contiguous|exclusive|hold|no-kill|no-requeue|overcommit|oversubscribe|requeue|spread-job"
MOUNTED = no("Only jobs of Azure ML can read assets of a workspace.", "download it and use its folder")
CAPABILITIES = Capabilities(
    sources={(role, ANY): YES for role in ("dataset", "policy", "init_policy", "resume", "backbone", "publish")}
    | dict.fromkeys((("dataset", "data_asset"), ("policy", "model_asset"), ("init_policy", "model_asset")), MOUNTED),
    workloads={ANY: YES},
    required_settings={"tracking": "tracking_uri"},
    features=dict.fromkeys(("multi_gpu", "mixed_precision", "several_datasets", "publish_folder"), YES)
    | dict.fromkeys(("wandb", "stream_logs", "cancel"), YES)
    | {
        "tracking": Support("yes", "With --tracking-uri."),
        "runs_here": no("It runs on a node.", "--platform local"),
    }
    | {"register_model": no("Slurm has no model registry.", "robotrain outputs RUN --to FOLDER, and mlflow")},
)
STATES: dict[str, RunState] = {
    **dict.fromkeys(("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"), "pending"),
    **dict.fromkeys(("FAILED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY"), "failed"),
    **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"), "lost"),
    **{"COMPLETED": "succeeded", "CANCELLED": "cancelled"},
}
"""The meaning of Slurm's states; with any other state the run is still running."""


def parse_options(text: str | None) -> dict[str, Any]:
    """Return options of sbatch by name: text, or True for a flag.

    `partition=a,b,hold` is two options: a part that is neither NAME=VALUE nor a flag belongs to the value before it.
    """
    if text and text.startswith("{"):  # the table of a job file
        with suppress(ValueError):
            given = {
                name: value for name, value in json.loads(text).items() if value is not None and value is not False
            }
            return {name: value if value is True else str(value) for name, value in given.items()}
    parts = re.split(rf",\s*(?=[a-z][a-z-]*\s*=|(?:{FLAGS})(?:,|$))", text) if text else ()
    pairs = (part.partition("=") for part in parts)
    return {name.strip(): value.strip() if equals else True for name, equals, value in pairs}


def make_spec(job: Any, settings: Settings, run: str) -> dict[str, Any]:
    """Return what submitit is given. The batch job is the runtime itself, so that signals reach it alone."""
    gpus = 0 if (parameters := dict(job.parameters)).get("device") == "cpu" else parameters.get("num_gpus", 0)
    options = {"signal": f"B:TERM@{min(120, settings.time * 20)}", **parse_options(settings.slurm)}
    variables = {**options, "job-name": run, "timelimit": str(settings.time)}  # sbatch prefers the environment
    submitit = {
        "timeout_min": settings.time,
        "gpus_per_node": gpus if settings.gpus is None else settings.gpus,
        "slurm_use_srun": False,
        "slurm_additional_parameters": options,
        "local_setup": ["exec </dev/null >/dev/null 2>&1", "trap '' INT HUP", "export SUBMITIT_PREEMPT_SIGNAL=TERM"],
    }
    environment = {f"SBATCH_{k.upper().replace('-', '_')}": text for k, text in variables.items() if text is not True}
    place = {"cluster": settings.cluster, "folder": str(Path(settings.folder, run).expanduser().absolute())}
    return {"run": place, "parameters": submitit, "environment": environment}
