"""Rules for a resolved job that all workloads of Isaac Lab share, on the submit side."""

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from robotrain.errors import Problem, Severity, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain_runtime.contract.problem import ProblemError

from robotrain_workloads import code_rules, packages, rules
from robotrain_workloads.isaac import assets, parameters, script_options, tasks, user_code
from robotrain_workloads.isaac.version_data import VERSIONS

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

CHECKPOINT_FLAG = "--checkpoint-uri"
CAMERAS_OPTION = "--enable_cameras"
DEVICE_OPTION = "--device"


def check_terms(job: "Job") -> Iterator[Problem]:
    """Say which terms are accepted; refuse a job of Isaac Sim that does not accept them."""
    if job["isaac_version"] != "2.3" and not job["isaaclab_path"]:
        return  # Newton needs no Isaac Sim
    if job["accept_eula"]:
        yield make_problem("eula-accepted")
    else:
        yield make_problem("eula-not-accepted", absent=("accept_eula",))


def check_window(job: "Job") -> Iterator[Problem]:
    """Refuse the window of Isaac Sim in a version that shows none by itself."""
    if job["isaac_version"] == "3.0" and not job["headless"]:
        ways = (Suggestion("-- --visualizer newton", "shows a window"), suggest_leaving_out("--no-headless"))
        yield make_problem("option-without-effect.headless", *ways)


def check_played_policy(job: "Job", owned_options: Mapping[str, str]) -> Iterator[Problem]:
    """Check what all jobs that play a policy have: the checkpoint, the task, and options after `--`.

    :param owned_options: those that robotrain passes.
    """
    yield from check_window(job)
    yield from check_digest(job)
    yield from check_task(job)
    yield from check_assets(job)
    yield from check_packages(job)
    yield from check_own_tasks(job)
    script = script_options.Script("play", owned_options, job["backend"] or "")
    yield from check_script_options(job, script)
    yield from rules.check_publish_url(job, "results")


def check_digest(job: "Job") -> Iterator[Problem]:
    """Require the SHA-256 of a checkpoint that comes without encryption, and a checkpoint for a SHA-256."""
    source = next((source for source in job.sources if source.role in ("checkpoint", "resume")), None)
    if source is None and job["sha256"]:
        ways = (Suggestion(f"{CHECKPOINT_FLAG} URI"), suggest_leaving_out("--sha256"))
        yield make_problem("option-without-effect", *ways, given=job["sha256"])
    elif source is not None and source.uri.startswith("http://") and not job["sha256"]:
        yield make_problem(
            "checkpoint-unverified",
            given=source.uri,
            absent=("sha256",),
            uri=redact(source.uri.replace("http:", "https:", 1)),
        )


def check_task(job: "Job", *, trains: bool = False) -> Iterator[Problem]:
    """Check that the version of Isaac Lab brings the task, with an agent of the job's library.

    What 3.0 lacks is an error: it has been read from it. The list of 2.3 is that of its documentation.
    """
    name, version = job["task"], str(job["isaac_version"])
    if name is None:
        return
    name = name.rpartition(":")[2]  # as Isaac Lab reads it
    task = tasks.list_tasks(version).get(name)
    if task is None:
        yield from _check_unknown_task(job, name, version)
        return
    if task.deprecated:
        option, successor, *presets = task.deprecated.split()
        way = " ".join([option, successor, *(["--", *presets] if presets else [])])
        yield make_problem("task-doubtful.deprecated", way, given=name, version=version)
    if trains or version == "3.0":
        yield from _check_agent(job, name, task, version)
    if trains and task.cameras and CAMERAS_OPTION not in job.trainer_args and "--video" not in job.trainer_args:
        yield make_problem("task-doubtful.no-cameras", given=name, option=CAMERAS_OPTION)
    if task.simulator == "isaacsim" and not job["isaaclab_path"]:
        yield from _check_simulator(job, name, task)


def _check_unknown_task(job: "Job", name: str, version: str) -> Iterator[Problem]:
    """Refuse, or doubt, a task that a version does not bring: an image or installation of the user may have it."""
    is_refused = version == "3.0" and name.startswith(tasks.PREFIXES) and not _may_bring_tasks(job)
    severity: Severity = "error" if is_refused else "warning"
    shown_name = redact(name)
    meant_task = tasks.find_meant_task(name, version)
    ways = [f"--task {meant_task}"] if meant_task else []
    ways += [f"--isaac-version {other}" for other in VERSIONS if name in tasks.list_tasks(other)]
    if job["packages"] and not ways:
        yield make_problem("task-of-packages", given=name, name=shown_name, version=version, flag=packages.WITH_FLAG)
    elif ways or is_refused:
        ways = ways or [script_options.PASS_UNKNOWN]
        yield make_problem("task-unknown", *ways, given=name, severity=severity, version=version, name=shown_name)


def _may_bring_tasks(job: "Job") -> bool:
    """Return whether tasks may come with the job that Isaac Lab itself does not bring."""
    has_callback = any(argument.partition("=")[0] == "--external_callback" for argument in job.trainer_args)
    return bool(
        has_callback or code_rules.find_code(job) or job["isaaclab_path"] or job["pass_unknown"] or job["packages"]
    )


def check_own_tasks(job: "Job") -> Iterator[Problem]:
    """Check a folder that brings tasks, if a job has one; nothing in it is run."""
    source = code_rules.find_code(job)
    if source is None:
        return
    if job["isaac_version"] == "2.3":
        yield make_problem("option-without-effect.tasks", given=redact(source.uri))
    if source.kind == "local_path" and Path(source.uri).is_dir():
        try:
            user_code.read_folder(Path(source.uri))
        except ProblemError as error:
            yield make_problem("tasks-missing", given=source.uri, title=redact(error.problem.title))
    yield from code_rules.check_code(job)


def _check_agent(job: "Job", name: str, task: tasks.Task, version: str) -> Iterator[Problem]:
    """Require an agent of the job's library; the user may name another entry point."""
    backend = job["backend"]
    options = {argument.partition("=")[0] for argument in job.trainer_args}
    libraries = task.list_libraries()
    if backend in (None, *libraries) or not options.isdisjoint(("--agent", "--algorithm")):
        return
    ways = [f"--backend {library}" for library in get_args(parameters.Backend) if library in libraries]
    severity: Severity = "error" if version == "3.0" else "warning"
    libraries_text = ", ".join(libraries) or "no library"
    yield make_problem(
        "task-without-agent",
        *ways,
        given=name,
        severity=severity,
        backend=backend,
        having=libraries_text,
        version=version,
    )


def _check_simulator(job: "Job", name: str, task: tasks.Task) -> Iterator[Problem]:
    """Say that a task starts Isaac Sim, which is only in some images, unless the user chooses the physics."""
    if any(re.match(r"(?:physics|presets|\+*env\.sim\.physics)=", argument) for argument in job.trainer_args):
        return
    ways = [f"-- physics={task.newton}"] if task.newton else []
    yield make_problem("task-doubtful.simulator", *ways, given=name)


def check_assets(job: "Job") -> Iterator[Problem]:
    """Name the files that the task loads and that a folder of assets on this machine lacks."""
    source = assets.find_source(job.sources)
    if source is None:
        return
    if job["isaac_version"] == "2.3":
        ways = (suggest_leaving_out(assets.FLAG), Suggestion("--isaac-version 3.0"))
        yield make_problem("option-without-effect.assets", *ways, given=source.uri)
    needed_files = assets.list_needed_files(dict(job.parameters), job.sources, job.trainer_args)
    folder = Path(source.uri)
    is_local_folder = source.kind == "local_path" and folder.is_dir()  # another is checked where the job runs
    if is_local_folder and (problem := assets.find_folder_problem(folder, needed_files, str(job["task"]))):
        title = redact(problem.title, max_length=1000)
        yield make_problem("assets-incomplete", *problem.suggestions, given=source.uri, title=title)


def check_packages(job: "Job") -> Iterator[Problem]:
    """Refuse packages for an Isaac Lab that robotrain does not build."""
    yield from rules.check_builds(job)
    option = "--isaaclab-path" if job["isaaclab_path"] else "--isaac-version 2.3"
    if job["packages"] and (job["isaaclab_path"] or job["isaac_version"] == "2.3"):
        ways = (suggest_leaving_out(packages.WITH_FLAG), suggest_leaving_out(option.split()[0]))
        yield make_problem("option-without-effect.packages", *ways, flag=packages.WITH_FLAG, option=option)


def check_device(job: "Job") -> Iterator[Problem]:
    """Refuse a GPU that the job has not."""
    count = job.training_gpus or 1
    for argument, next_argument in itertools.zip_longest(job.trainer_args, job.trainer_args[1:], fillvalue=""):
        name, equals, device = argument.partition("=")
        number = re.fullmatch(r"cuda:(\d{1,4})", device if equals else next_argument)
        if name == DEVICE_OPTION and number and int(number[1]) >= count:
            yield make_problem(
                "device-unusable", suggest_leaving_out(name), given=argument, device=number[0], count=count
            )


def check_script_options(job: "Job", script: script_options.Script) -> Iterator[Problem]:
    """Check what comes after `--`: Isaac Lab's scripts would do it only once the simulator has started."""
    script = script._replace(pass_unknown=job["pass_unknown"])
    problems = script_options.find_option_problems(job.trainer_args, script, str(job["isaac_version"]))
    yield from problems
    yield from check_device(job)
