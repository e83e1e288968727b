"""The Slurm platform: a run is a folder that every node sees, and a job that submitit submits to the cluster."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import PIPE, STDOUT, run
from typing import Any

from robotrain.plugin import (
    HealthCheck,
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
    report_failure,
    report_ok,
    report_warning,
)

from robotrain_slurm import batch_job
from robotrain_slurm.settings import CAPABILITIES, OPTION_NAME, STATES, Settings, make_spec, parse_options

SPEC, DOCUMENT, PAYLOAD = "slurm.json", "job.json", "payload.zip"
REFUSED = "|FAILED|BadConstraints|"  # sbatch failed, and yet Slurm has a record of the job
JOB_FILE = "_submitted.pkl"  # submitit's, after the number of the job


class Slurm(RunFolderPlatform):
    """Runs a job on a cluster, or with submitit's local executor on this machine."""

    name, summary = "slurm", "a Slurm cluster, through submitit"
    settings: type = Settings
    capabilities = CAPABILITIES
    option_hints = dict.fromkeys(("--partition", "--account", "--qos", "--mem"), "use --slurm, such as --slurm mem=64G")
    states = STATES

    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        for name, value in parse_options(settings.slurm).items():
            given = name if value is True else f"{name}={value}"
            if not re.fullmatch(OPTION_NAME, name) or {*given} & {*"%\n"}:
                title = "--slurm accepts long option names of sbatch that robotrain does not set itself, without %"
                yield _problem("slurm-option-unfit", title, Stage.CHECK, where="--slurm", given=given)
            elif name in ("nodes", "ntasks", "ntasks-per-node") and value != "1":
                title = "a run is one task on one node: it would leave the others idle"
                yield _problem("slurm-one-node", title, Stage.CHECK, where="--slurm", given=given)
        if settings.slurm and settings.cluster == "local":
            yield _problem("slurm-not-asked", "--slurm has no effect with --cluster local", Stage.CHECK)

    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        spec, cache = make_spec(job, settings, run), Path(settings.cache_folder).expanduser().absolute()
        place = Placement(work=spec["run"]["folder"], cache=str(cache), tracking_uri=settings.tracking_uri or "")
        document = make_job_document(job, run=run, platform=self.name, container_plugins=plugins, placement=place)
        files = {
            SPEC: json.dumps(spec, indent=1).encode(),
            DOCUMENT: document.to_json().encode(),
            PAYLOAD: payload.archive,
        }
        return Plan(platform=self.name, run=run, job=job, spec=SPEC, files=files, shown=(SPEC, DOCUMENT))

    def preflight(self, plan: Plan) -> Iterator[Problem]:
        spec, folder = _read_spec(plan)
        if spec["run"]["cluster"] == "slurm":
            yield from _find_cluster_problems()
        yield from self.find_folder_problems(plan, folder)

    def submit(self, plan: Plan) -> Mapping[str, str]:
        from submitit import AutoExecutor
        from submitit.core.utils import FailedJobError, environment_variables

        spec, folder = _read_spec(plan)
        self.create_folder(plan, folder)
        executor = AutoExecutor(folder / "submitit", spec["run"]["cluster"], slurm_python=batch_job.PYTHON)
        executor.update_parameters(**spec["parameters"])
        try:
            with environment_variables(**spec["environment"]):
                return {**spec["run"], "job": executor.submit(batch_job.run, str(folder)).job_id}
        except FailedJobError as error:
            if found := self.find(plan):
                return found
            problems = [_problem("slurm-refused", " ".join(str(error).split()))]
            if "timed out" in str(error):  # Slurm may have accepted it
                raise Unanswered(problems) from None
            shutil.rmtree(folder)
            raise Rejected(problems) from None

    def find(self, plan: Plan) -> Mapping[str, str] | None:
        from submitit.core.utils import DelayedSubmission

        spec, folder = _read_spec(plan)
        if not self.has_plan(plan, folder):
            return None
        jobs = [path.name.removesuffix(JOB_FILE) for path in folder.glob(f"submitit/*{JOB_FILE}")]
        if not jobs and spec["run"]["cluster"] == "slurm":
            queue = _run("squeue", "--noheader", "--me", "--states=all", f"--name={plan.run}", "--format=%i|%T|%r|%o")
            if queue and not queue[0].isdigit():  # an error message
                raise Unanswered([_problem("slurm-silent", queue)])
            lines = [line for line in queue.splitlines() if f"|{folder}/" in line]
            jobs = [line.partition("|")[0] for line in lines if REFUSED not in line]
            for job in jobs[:1]:  # the submit was interrupted before it wrote it
                DelayedSubmission(batch_job.run, str(folder)).dump(folder / f"submitit/{job}{JOB_FILE}")
        return {**spec["run"], "job": jobs[0]} if jobs else None

    def is_local(self, reference: Mapping[str, str]) -> bool:
        return reference["cluster"] == "local"

    def get_engine_state(self, job: str) -> str:
        answer = _run("squeue", "--noheader", "--states=all", "--format=%T (%r)", f"--jobs={job}").partition("\n")[0]
        if answer and "Invalid job id" not in answer:
            return answer.removesuffix(" (None)")
        state = _run("sacct", "--noheader", "--parsable2", "--allocations", "--format=State", f"--jobs={job}")
        return "" if "accounting storage is disabled" in state else state

    def stop_job(self, job: str) -> None:
        _run("scancel", "--state=PENDING", job)
        _run("scancel", "--batch", "--signal=TERM", job)  # to the runtime alone, which saves a checkpoint


def _find_cluster_problems() -> Iterator[Problem]:
    """Yield why no job can be submitted from here now."""
    if not shutil.which("sbatch"):
        yield _problem("slurm-not-here", "no sbatch on the PATH", Stage.PREFLIGHT, "ssh LOGIN-NODE", "--cluster local")
    elif " is UP" not in (answer := _run("timeout", "4", "scontrol", "ping")):
        title = "the controller of Slurm does not answer"
        why = answer.partition("\n")[0] or "`scontrol ping` was not done within four seconds."
        yield _problem("slurm-away", title, Stage.PREFLIGHT, "scontrol ping", why=why)


def _check_health() -> Iterator[Any]:
    problem = next(_find_cluster_problems(), None)
    if problem is None:
        yield report_ok("its controller answers")
    else:
        report = report_warning if problem.code == "slurm-not-here" else report_failure
        yield report(": ".join(filter(None, (problem.title, problem.why.rstrip(".")))), *problem.suggestions)


def _read_spec(plan: Plan) -> tuple[dict[str, Any], Path]:
    spec = json.loads(plan.files[SPEC])
    return spec, Path(spec["run"]["folder"])


def _run(*command: str) -> str:
    """Return the output of a command of Slurm, errors included."""
    return run(command, stdout=PIPE, stderr=STDOUT, text=True, check=False).stdout.strip()


def _problem(code: str, title: str, stage: Stage = Stage.SUBMIT, *remedies: str, **more: Any) -> Problem:
    return Problem(code=code, stage=stage, title=title, suggestions=tuple(map(Suggestion, remedies)), **more)


@hook
def robotrain_platforms() -> list[Slurm]:
    """Return the platform of this distribution."""
    return [Slurm()]


@hook
def robotrain_health() -> list[HealthCheck]:
    """Return the check of `robotrain doctor`."""
    return [HealthCheck(name="Slurm", run=_check_health)]
