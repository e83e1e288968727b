"""The preflight checks of a plan: of the cluster, in one question, and of the folders and files that nodes need."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.health import Check
from robotrain.model.plan import Plan
from robotrain.run_folder.scheduler_plan import SchedulerSpec
from robotrain.run_folder.transport import Transport
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.environments import interpreter

from robotrain_slurm.client.cluster import query_partitions
from robotrain_slurm.client.commands import SlurmRefused
from robotrain_slurm.client.failures import explain_refusal
from robotrain_slurm.login.reach import LostAnswer, explained, translate
from robotrain_slurm.node.container import TOOLS
from robotrain_slurm.preflight import folders
from robotrain_slurm.preflight.array_size import check_array_size
from robotrain_slurm.preflight.container import check_containers
from robotrain_slurm.preflight.job_request import JobRequest
from robotrain_slurm.preflight.locks import check_locks
from robotrain_slurm.preflight.pythons import check_pythons, list_needed_pythons
from robotrain_slurm.preflight.resources import find_request_problems
from robotrain_slurm.preflight.survey import MachineSurvey, take_survey
from robotrain_slurm.spec.script import read_options
from robotrain_slurm.spec.submission_spec import SUBMISSION, get_script

make_problem = Messages(__file__)


def list_checks(at: Transport, plan: Plan) -> list[Check]:
    """Return the checks of a plan, which run side by side. Raise Rejected for a plan that cannot be read."""
    spec = SUBMISSION.load(plan, Stage.PREFLIGHT)
    first = (job.documents[0] for job in spec.jobs)  # trials have the same inputs and folders
    try:
        jobs = [document.parse_document(plan.files[path].decode()) for path in first]
        for job in spec.jobs:
            read_options(plan.files[get_script(job)].decode())
    except (LookupError, ValueError) as error:
        why = f"A batch script or a job document of it cannot be read: {error}."
        raise Rejected([SUBMISSION.make_damaged_plan_problem(Stage.PREFLIGHT, why)]) from None
    pythons = list_needed_pythons(plan)
    survey = _Once(lambda: _take_survey(at, spec, jobs, pythons))
    checks: dict[str, Callable[[], Iterable[Problem]]] = {
        "slurm cluster": lambda: check_cluster(at, plan, spec, jobs, survey),
        "slurm machine": lambda: check_machine(at, plan, spec, jobs, pythons, survey()),
    }
    if any(job.trials for job in spec.jobs):
        checks["slurm array"] = lambda: check_array_size(at, spec)
    if at.host:  # over one line, and one that is dead is reported once
        every = [*checks.values()]
        return [Check(name=at.host, run=partial(_explain, at, lambda: chain.from_iterable(one() for one in every)))]
    return [Check(name=name, run=partial(_explain, at, check)) for name, check in checks.items()]


def _explain(at: Transport, check: Callable[[], Iterable[Problem]]) -> Iterable[Problem]:
    with explained(at):
        return translate(check(), at)


class _Once:
    """A survey that several checks wait for."""

    def __init__(self, take: Callable[[], MachineSurvey]) -> None:
        self._take, self._lock = take, threading.Lock()
        self._found: MachineSurvey | None = None

    def __call__(self) -> MachineSurvey:
        with self._lock:
            self._found = self._found or self._take()
            return self._found


def _take_survey(
    at: Transport, spec: SchedulerSpec, jobs: Sequence[JobDocument], pythons: Mapping[str, str]
) -> MachineSurvey:
    paths = [spec.folder, os.path.dirname(spec.folder), *pythons, *folders.list_needed_files(spec, jobs).values()]
    for job in jobs:
        sources = (source.uri for source in folders.list_read_folders(job))
        paths += [job.placement.cache, *job.placement.secrets.values(), *sources]
    versions = dict.fromkeys(one for version in pythons.values() for one in interpreter.list_allowed_versions(version))
    return take_survey(at, filter(None, paths), TOOLS, versions)


def check_machine(
    at: Transport,
    plan: Plan,
    spec: SchedulerSpec,
    jobs: Sequence[JobDocument],
    pythons: Mapping[str, str],
    survey: MachineSurvey,
) -> Iterator[Problem]:
    """Check the folders, files and programs of the machine that submits."""
    yield from folders.check_run_folder(at, plan, spec, survey)
    yield from folders.check_files(jobs, survey)
    yield from check_containers(at, spec, plan.files, survey)
    yield from check_pythons(pythons, survey)
    yield from check_locks(jobs[0].placement.cache, survey)
    if at.host:
        yield from folders.check_sources(jobs, at.host, survey)


def check_cluster(
    at: Transport, plan: Plan, spec: SchedulerSpec, jobs: Sequence[JobDocument], survey: Callable[[], MachineSurvey]
) -> Iterator[Problem]:
    """Check what the jobs ask for against the partitions and nodes of the cluster, and that it answers."""
    try:
        partitions = query_partitions(at)
    except SlurmRefused as refusal:
        yield replace(explain_refusal(at, refusal.text, {}, "sinfo"), stage=Stage.PREFLIGHT)
        return
    except LostAnswer:
        raise
    except Rejected as rejected:  # it is away, or not here
        if any(problem.code == "submit-command-missing" for problem in rejected.problems):
            yield make_problem("submit-command-missing")
            return
        later = Suggestion("the same command", "later; nothing was sent")
        for problem in rejected.problems:
            yield replace(problem, stage=Stage.PREFLIGHT, suggestions=(later, *problem.suggestions))
        return
    for job in spec.jobs:
        options = read_options(plan.files[get_script(job)].decode())
        yield from find_request_problems(JobRequest.parse(options, plan.job), partitions)
    yield from folders.find_unshared_files(folders.list_needed_files(spec, jobs), partitions, survey())
