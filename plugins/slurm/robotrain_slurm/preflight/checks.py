"""The preflight checks of a plan: of the cluster, in one question, and of the folders and files that nodes need."""

import os
import re
import shlex
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from robotrain.cluster.secrets import judge_secret_file
from robotrain.errors import Problem, Rejected, Stage, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.health import Check
from robotrain.model.plan import Plan
from robotrain.run_folder.folder_access import judge_folder
from robotrain.run_folder.placement import check_credential_files
from robotrain.run_folder.scheduler import SchedulerEngine
from robotrain.run_folder.scheduler_plan import SchedulerSpec
from robotrain.run_folder.transport import LostAnswer, Transport
from robotrain_runtime.contract import document, plugin_loader
from robotrain_runtime.contract.document import JobDocument, JobSource, parse_document
from robotrain_runtime.environments import environment, interpreter
from robotrain_runtime.machine.disk_cache import COMPLETE
from robotrain_sources.local_path.kind import KIND as LOCAL_FOLDERS
from robotrain_sources.local_path.remote_kind import KIND

from robotrain_slurm.client.cluster import query_partitions
from robotrain_slurm.client.commands import SlurmRefused, explain_command_failure, run_slurm
from robotrain_slurm.login.reach import explained, translate
from robotrain_slurm.node.container import TOOLS
from robotrain_slurm.preflight import node_visibility
from robotrain_slurm.preflight.node_visibility import list_read_folders
from robotrain_slurm.preflight.slurm_refusals import ask_slurm, find_job_problems
from robotrain_slurm.preflight.survey import MachineSurvey, take_survey
from robotrain_slurm.spec.script import may_bring_python, read_options
from robotrain_slurm.spec.submission_spec import SUBMISSION, get_script, read_own
from robotrain_slurm.submit.upload import check_uploads

make_problem = Messages(__file__)


def list_checks(slurm: SchedulerEngine, plan: Plan) -> list[Check]:
    """Return the checks of a plan, which run side by side. Raise Rejected for a plan that cannot be read."""
    transport, spec = slurm.at, SUBMISSION.load(plan, Stage.PREFLIGHT)
    document_paths = (job.document for job in spec.jobs)
    try:
        jobs = [document.parse_document(plan.files[path].decode()) for path in document_paths]
        for job in spec.jobs:
            read_options(plan.files[get_script(job)].decode())
    except (LookupError, ValueError) as error:
        reason = f"A batch script or a job document of it cannot be read: {error}."
        raise Rejected([SUBMISSION.make_damaged_plan_problem(Stage.PREFLIGHT, reason)]) from None
    pythons = list_needed_pythons(plan)
    survey = _Once(lambda: _take_survey(transport, spec, jobs, pythons))
    checks: dict[str, Callable[[], Iterable[Problem]]] = {
        "slurm cluster": lambda: check_cluster(transport, plan, spec, jobs, survey),
        "slurm machine": lambda: check_machine(slurm, plan, spec, jobs, pythons, survey()),
    }
    if transport.host:  # over one line, and one that is dead is reported once
        check_functions = [*checks.values()]
        return [
            Check(
                name=transport.host,
                run=partial(_explain, transport, lambda: chain.from_iterable(check() for check in check_functions)),
            )
        ]
    return [Check(name=name, run=partial(_explain, transport, check)) for name, check in checks.items()]


def _explain(transport: Transport, check: Callable[[], Iterable[Problem]]) -> Iterable[Problem]:
    with explained(transport):
        return translate(check(), transport)


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
    transport: Transport, spec: SchedulerSpec, jobs: Sequence[JobDocument], pythons: Mapping[str, str]
) -> MachineSurvey:
    paths = [os.path.dirname(spec.folder), *pythons, *node_visibility.list_needed_files(spec, jobs).values()]
    for job in jobs:
        sources = (source.uri for source in node_visibility.list_read_folders(job))
        paths += [job.placement.cache, *job.placement.secrets.values(), *job.placement.credentials.values(), *sources]
    versions = dict.fromkeys(
        allowed_version
        for version in pythons.values()
        for allowed_version in interpreter.list_allowed_versions(version)
    )
    return take_survey(transport, filter(None, paths), TOOLS, versions)


def check_machine(
    slurm: SchedulerEngine,
    plan: Plan,
    spec: SchedulerSpec,
    jobs: Sequence[JobDocument],
    pythons: Mapping[str, str],
    survey: MachineSurvey,
) -> Iterator[Problem]:
    """Check the folders, files and programs of the machine that submits."""
    transport = slurm.at
    yield from slurm.check_run_folder(plan)
    yield from judge_folder(survey.paths[os.path.dirname(spec.folder)].folder, "--runs-dir")
    yield from check_files(jobs, survey)
    yield from check_containers(transport, spec, plan.files, survey)
    yield from check_pythons(pythons, survey)
    yield from check_locks(jobs[0].placement.cache, survey)
    if not transport.host:
        yield from find_missing_sources(jobs, survey)
    else:
        yield from check_sources(jobs, transport.host, survey)
    yield from check_uploads(transport, plan)


def check_cluster(
    transport: Transport,
    plan: Plan,
    spec: SchedulerSpec,
    jobs: Sequence[JobDocument],
    survey: Callable[[], MachineSurvey],
) -> Iterator[Problem]:
    """Ask Slurm whether it takes the jobs, and when it would never start them."""
    try:
        refusals = [ask_slurm(transport, plan, job) for job in spec.jobs]
        partitions = query_partitions(transport)
        for job, refusal in zip(spec.jobs, refusals, strict=True):
            yield from find_job_problems(transport, plan, job, refusal, partitions)
    except SlurmRefused as refusal:
        yield replace(explain_command_failure(refusal.text, "sinfo"), stage=Stage.PREFLIGHT)
        return
    except LostAnswer:
        raise
    except Rejected as rejected:  # it is away, or not here
        yield from _explain_silence(rejected)
        return
    yield from node_visibility.find_unshared_files(node_visibility.list_needed_files(spec, jobs), partitions, survey())


def _explain_silence(rejection: Rejected) -> Iterator[Problem]:
    """Yield why Slurm was not asked."""
    if any(problem.code == "submit-command-missing" for problem in rejection.problems):
        yield make_problem("submit-command-missing")
        return
    retry_suggestion = Suggestion("the same command", "later; nothing was sent")
    for problem in rejection.problems:
        reason = f"{problem.why} So Slurm was not asked whether it takes the job.".strip()
        yield replace(problem, stage=Stage.PREFLIGHT, why=reason, suggestions=(retry_suggestion, *problem.suggestions))


PYXIS_OPTION = "--container-image"
FLAG = "--container"
LOADED = rf"^\s*module load .*\b(?:{'|'.join(TOOLS)})\b"
"""A line of a batch script that loads Apptainer, which need not be on this machine then."""


def check_containers(
    transport: Transport, spec: SchedulerSpec, files: Mapping[str, bytes], survey: MachineSurvey
) -> Iterator[Problem]:
    """Check that srun has the options of Pyxis, or that Apptainer is installed here, and so probably on the nodes.

    :param files: those of the plan; a batch script that loads Apptainer as a module is not checked.
    """
    for tool in sorted({read_own(job).container.tool for job in spec.jobs} - {""}):
        other_tool = Suggestion(f"{FLAG} {'apptainer' if tool == 'pyxis' else 'pyxis'}", "if the cluster has that")
        no_container = suggest_leaving_out(FLAG, remark="the environment is built in --cache-dir")
        if tool == "pyxis" and not _has_pyxis(transport):
            yield make_problem("slurm-container-missing.pyxis", other_tool, no_container, given=tool)
        elif tool == "apptainer" and not survey.commands and not _is_loaded(spec, files):
            module_suggestion = Suggestion("--module apptainer", "if it is a module of the nodes")
            yield make_problem(
                "slurm-container-missing.apptainer",
                module_suggestion,
                other_tool,
                no_container,
                given=tool,
                tools=" nor ".join(TOOLS),
            )


def _is_loaded(spec: SchedulerSpec, files: Mapping[str, bytes]) -> bool:
    scripts = [files[get_script(job)].decode() for job in spec.jobs if read_own(job).container.tool == "apptainer"]
    return all(re.search(LOADED, script, re.MULTILINE) for script in scripts)


def _has_pyxis(transport: Transport) -> bool:
    try:
        return PYXIS_OPTION in run_slurm(transport, "srun", "--help")
    except SlurmRefused:
        return False


def list_needed_pythons(plan: Plan) -> dict[str, str]:
    """Return the versions of Python that nodes build environments with, by a file of each that is built."""
    versions_by_file: dict[str, str] = {}
    spec = SUBMISSION.load(plan, Stage.PREFLIGHT)
    for job in () if read_own(spec.jobs[0]).is_staged else spec.jobs:
        script = plan.files[get_script(job)].decode()
        if read_own(job).container.tool or may_bring_python(script):
            continue
        with tempfile.TemporaryDirectory() as work:
            try:
                document = parse_document(plan.files[job.document].decode())
                run_placement = plugin_loader.get_run_placement(document)
                environments = [(plugin_loader.load_workload_plugin(document).environment(document), run_placement)]
                if program_environment := plugin_loader.get_program_environment(document, Path(work)):
                    environments.append((program_environment, document.placement))
            except Exception:  # of a plugin that is written for the node alone
                continue
            for python_environment, placement in environments:
                if not placement.environment:
                    lock, cache, torch_backend = python_environment.lock, placement.cache, placement.torch_backend
                    folder = environment.get_environment_folder(lock, Path(cache), torch_backend)
                    versions_by_file[str(folder / COMPLETE)] = python_environment.python
    return versions_by_file


def check_pythons(versions_by_file: Mapping[str, str], survey: MachineSurvey) -> Iterator[Problem]:
    """Warn if an environment is not built yet and this machine has no Python for it: the nodes are mostly like it."""
    for folder, version in versions_by_file.items():
        allowed_versions = interpreter.list_allowed_versions(version)
        if not survey.paths[folder].exists and not set(allowed_versions) & set(survey.pythons):
            yield make_problem("slurm-python-missing", version=version, newest=allowed_versions[0])
            return


def check_files(jobs: Sequence[JobDocument], survey: MachineSurvey) -> Iterator[Problem]:
    """Check the cache, and the files with secrets and credentials."""
    for job in jobs[:1]:  # the steps of a pipeline have the same placement
        yield from judge_folder(survey.paths[job.placement.cache].folder, "--cache-dir")
        for name, file in job.placement.secrets.items():
            if survey.paths[file].exists:
                yield from judge_secret_file(name, file, survey.paths[file].mode)
            else:
                yield make_problem("secret-file-missing", given=file, name=name)
        yield from check_credential_files(job.placement.credentials, lambda file: survey.paths[file].exists)


def _list_missing_sources(jobs: Sequence[JobDocument], survey: MachineSurvey) -> list[JobSource]:
    """Return the folders that jobs read and the machine that submits does not have, each once."""
    sources = dict.fromkeys(source for job in jobs for source in list_read_folders(job))
    return [source for source in sources if not survey.paths[source.uri].exists]


def check_sources(jobs: Sequence[JobDocument], login: str, survey: MachineSurvey) -> Iterator[Problem]:
    """Check that the folders of the cluster that jobs read are on the login node."""
    for source in _list_missing_sources(jobs, survey):
        flag = KIND.roles[source.role].flag
        local_source = Suggestion(f"{flag} {shlex.quote(source.uri)}", "if it is of this machine: it is copied there")
        yield make_problem(
            "slurm-login-source", local_source, where=flag, given=f"{login}:{source.uri}", role=source.role
        )


def find_missing_sources(jobs: Sequence[JobDocument], survey: MachineSurvey) -> Iterator[Problem]:
    """Warn of folders that jobs read and this machine does not have: only the nodes may see them."""
    for source in _list_missing_sources(jobs, survey):
        flag = LOCAL_FOLDERS.roles[source.role].flag
        yield make_problem("slurm-source-unseen", where=flag, given=source.uri, role=source.role)


LOCAL_OPTIONS = frozenset({"nolock", "local_lock=all", "local_lock=flock", "localflock"})
"""Options of NFS and Lustre with which a lock holds on one machine only."""


def check_locks(cache: str, survey: MachineSurvey) -> Iterator[Problem]:
    """Warn if other nodes do not see the locks of this machine, by how the disk is mounted here."""
    mount = survey.paths[cache].mount
    if reason := explain_missing_locks(mount.kind, mount.list_options()):
        yield make_problem("slurm-locks-local", given=cache, why=reason)


def explain_missing_locks(kind: str, options: Collection[str]) -> str:
    """Return why locks on a file system do not hold on other nodes; empty if they do, or if that is unknown."""
    if local_options := sorted(LOCAL_OPTIONS.intersection(options)):
        return f"The disk ({kind}) is mounted with {local_options[0]}: its locks hold on one machine only."
    if kind == "lustre" and "flock" not in options:
        return "The disk (lustre) is mounted without flock: it has no locks."
    return ""
