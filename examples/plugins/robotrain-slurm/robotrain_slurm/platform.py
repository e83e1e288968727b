"""The Slurm platform: a run is a folder that every node sees, and a job that submitit hands to the cluster."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import PIPE, STDOUT, run
from typing import Any

from robotrain.plugin import (
    Placement,
    Plan,
    Problem,
    Rejected,
    RunFolderPlatform,
    Stage,
    Suggestion,
    Unanswered,
    hook,
    make_job_document,
    parse_pairs,
)

from robotrain_slurm import declared, node

SPEC, DOCUMENT, PAYLOAD, SENT = "slurm.json", "job.json", "payload.zip", "_submitted.pkl"  # the last is submitit's


class Slurm(RunFolderPlatform):
    """Runs a job on a cluster, or with submitit's local executor on this machine."""

    name, summary = "slurm", "a Slurm cluster, through submitit"
    settings: type = declared.Settings
    capabilities = declared.CAPABILITIES
    option_hints = dict.fromkeys(("--partition", "--account", "--qos", "--mem"), "it is --slurm NAME=VALUE, as mem=64G")
    states = declared.STATES

    def check(self, job: Any, settings: declared.Settings) -> Iterator[Problem]:
        for name, text in parse_pairs(settings.slurm).items():
            if not re.fullmatch("(?!array|error|job-name|output|time|wrap)[a-z][a-z-]*", name) or {*text} & {*"%\n"}:
                title = "--slurm takes long names of sbatch that robotrain does not say itself, and no %"
                yield _problem("slurm-option-unfit", title, Stage.CHECK, where="--slurm", given=f"{name}={text}")
        if settings.slurm and settings.cluster == "local":
            yield _problem("slurm-not-asked", "--cluster local asks no sbatch, so --slurm does nothing", Stage.CHECK)

    def render(self, job: Any, settings: declared.Settings, run: str, payload: Any, halves: Mapping[str, str]) -> Plan:
        told, cache = declared.spec(job, settings, run), Path(settings.cache_folder).expanduser().absolute()
        place = Placement(work=told["run"]["folder"], cache=str(cache), tracking_uri=settings.tracking_uri or "")
        document = make_job_document(job, run=run, platform=self.name, container_plugins=halves, placement=place)
        files = {
            SPEC: json.dumps(told, indent=1).encode(),
            DOCUMENT: document.to_json().encode(),
            PAYLOAD: payload.archive,
        }
        return Plan(platform=self.name, run=run, job=job, spec=SPEC, files=files, shown=(SPEC, DOCUMENT))

    def preflight(self, plan: Plan) -> Iterator[Problem]:
        told, folder = _read(plan)
        if told["run"]["cluster"] == "slurm" and not shutil.which("sbatch"):
            yield _problem("slurm-not-here", "there is no sbatch", Stage.PREFLIGHT, "ssh LOGIN-NODE", "--cluster local")
        yield from self.find_folder_problems(plan, folder)

    def submit(self, plan: Plan) -> Mapping[str, str]:
        from submitit import AutoExecutor
        from submitit.core.utils import FailedJobError, environment_variables

        told, folder = _read(plan)
        self.create_folder(plan, folder)
        executor = AutoExecutor(folder / "submitit", told["run"]["cluster"], slurm_python=node.PYTHON)
        executor.update_parameters(**told["parameters"])
        try:
            with environment_variables(**told["environment"]):
                return {**told["run"], "job": executor.submit(node.run, str(folder)).job_id}
        except FailedJobError as error:
            if found := self.find(plan):
                return found
            refused = [_problem("slurm-refused", " ".join(str(error).split()))]
            if "timed out" in str(error):  # it may have been taken all the same
                raise Unanswered(refused) from None
            shutil.rmtree(folder)
            raise Rejected(refused) from None

    def find(self, plan: Plan) -> Mapping[str, str] | None:
        from submitit.core.utils import DelayedSubmission

        told, folder = _read(plan)
        if not self.has_plan(plan, folder):
            return None
        jobs = [path.name.removesuffix(SENT) for path in folder.glob(f"submitit/*{SENT}")]
        if not jobs and told["run"]["cluster"] == "slurm":
            queue = _ask("squeue", "--noheader", "--me", "--states=all", f"--name={plan.run}", "--format=%i %o")
            if queue and not queue[0].isdigit():  # no job, but why it does not say
                raise Unanswered([_problem("slurm-silent", queue)])
            jobs = [line.split()[0] for line in queue.splitlines() if f" {folder}/" in line]
            for job in jobs[:1]:  # what it is to do may not be there yet
                DelayedSubmission(node.run, str(folder)).dump(folder / f"submitit/{job}{SENT}")
        return {**told["run"], "job": jobs[0]} if jobs else None

    def is_local(self, reference: Mapping[str, str]) -> bool:
        return reference["cluster"] == "local"

    def get_engine_state(self, job: str) -> str:
        told = _ask("squeue", "--noheader", "--states=all", "--format=%T (%r)", f"--jobs={job}").partition("\n")[0]
        if told and "Invalid job id" not in told:
            return told.removesuffix(" (None)")
        kept = _ask("sacct", "--noheader", "--parsable2", "--allocations", "--format=State", f"--jobs={job}")
        return kept if re.fullmatch(r"[A-Z_]+( by \d+)?", kept) else "GONE"  # else no account of jobs is kept

    def stop_job(self, job: str) -> None:
        _ask("scancel", "--state=PENDING", job)
        _ask("scancel", "--batch", "--signal=TERM", job)  # to the runtime alone, which saves what it has


def _read(plan: Plan) -> tuple[dict[str, Any], Path]:
    told = json.loads(plan.files[SPEC])
    return told, Path(told["run"]["folder"])


def _ask(*command: str) -> str:
    """What a command of Slurm says, or why it says nothing."""
    return run(command, stdout=PIPE, stderr=STDOUT, text=True, check=False).stdout.strip()


def _problem(code: str, title: str, stage: Stage = Stage.SUBMIT, *ways: str, **more: Any) -> Problem:
    return Problem(code=code, stage=stage, title=title, suggestions=tuple(map(Suggestion, ways)), **more)


@hook
def robotrain_platforms() -> list[Slurm]:
    """This platform."""
    return [Slurm()]
