"""Pipelines without a command line: their steps and plans."""

from pathlib import Path
from typing import Any

from planned_jobs import PLUGIN_MODULES, evaluation, job, source
from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Payload, Plan
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument
from robotrain_slurm.platform import SLURM
from robotrain_slurm.settings import SlurmSettings

RUN = "train-eval-aa4c8800-1"
WHOLE = Job(workload="train-eval", parameters=())
PAYLOAD = Payload.from_files({"robotrain_runtime/__main__.py": b"print('here')"})
ENGINE = SLURM.engine


def settings(runs: Path, **overrides: Any) -> SlurmSettings:
    fixed = {"runs_dir": str(runs), "tracking_uri": "https://mlflow.example", "cpus": 1, "memory": "1G"}
    return SlurmSettings(**fixed | overrides)


def step(runs: Path, name: str, of: Job, *needs: str, packed: Payload = PAYLOAD, **more: Any) -> PipelineStep:
    """A step; what it takes from others are sources of its job."""
    takes = {source.uri: "policy" for source in of.sources if source.kind == "step"}
    return PipelineStep(
        name=name,
        needs=tuple(dict.fromkeys((*takes, *needs))),
        job=of,
        settings=settings(runs, **more.pop("settings", {})),
        payload=packed,
        container_plugins=PLUGIN_MODULES,
        takes=takes,
        **more,
    )


def make_steps(runs: Path, **options: Any) -> list[PipelineStep]:
    """A training, the evaluation of its policy, and another training after that."""
    return [
        step(runs, "train", job(), hands_over=True, **options),
        step(runs, "evaluate", evaluation(source("step", "train", "policy")), hands_over=True, **options),
        step(runs, "again", job(seed=7), "evaluate", **options),
    ]


def make_pipeline(runs: Path, steps: list[PipelineStep] | None = None, finished: Any = None) -> Plan:
    return SLURM.plans.render_pipeline(steps or make_steps(runs), WHOLE, RUN, finished or {})


def read_document(plan: Plan, path: str) -> JobDocument:
    return document.parse_document(plan.files[f"{path}/job.json"].decode())


def read_options(plan: Plan, path: str) -> list[str]:
    """The options of a batch script, in their order, without dashes."""
    lines = plan.files[path].decode().splitlines()
    return [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH ")]
