"""Rules for a resolved job that all workloads of Isaac Lab share, on the submit side."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.redaction import redact

from robotrain_workloads import rules
from robotrain_workloads.isaac import script_options, tasks

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

CHECKPOINT_FLAG = "--checkpoint-uri"
CAMERAS_OPTION = "--enable_cameras"
DEVICE_OPTION, SIMULATION_DEVICE = "--device", "env.sim.device"
DEVICE_OPTIONS = (DEVICE_OPTION, SIMULATION_DEVICE, "agent.device")


def check_terms(job: "Job") -> Iterator[Problem]:
    """Say which terms are accepted; refuse a job that does not accept them."""
    if job["accept_eula"]:
        yield make_problem("eula-accepted")
    else:
        yield make_problem("eula-not-accepted", absent=("accept_eula",))


def check_played_policy(job: "Job", owned_options: Mapping[str, str]) -> Iterator[Problem]:
    """Check what all jobs that play a policy have: the checkpoint, the task, and options after `--`.

    :param owned_options: those that robotrain passes.
    """
    yield from check_digest(job)
    yield from check_task(job)
    script = script_options.Script(script_options.PLAY_OPTIONS, owned_options, job["backend"] or "")
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
    """Warn of a task that is probably misspelled, or that Isaac Lab 2.3 has no agent of the job's library for."""
    name, backend = job["task"], job["backend"]
    if name is None or job["isaac_version"] == "3.0":
        return
    if meant := tasks.find_meant_task(name):
        yield make_problem("task-doubtful.unknown", given=name, name=redact(name), meant=meant)
    elif (task := tasks.list_tasks().get(name)) and trains:
        if backend not in task.libraries:
            ways = [f"--backend {library}" for library in task.libraries]
            having = " and ".join(task.libraries) or "neither"
            yield make_problem("task-doubtful.no-agent", *ways, given=name, backend=backend, having=having)
        if task.needs_cameras and CAMERAS_OPTION not in job.trainer_args and "--video" not in job.trainer_args:
            yield make_problem("task-doubtful.no-cameras", given=name, option=CAMERAS_OPTION)


def check_device(job: "Job") -> Iterator[Problem]:
    """Refuse a device that the job has not, or that the script replaces."""
    count = job.training_gpus or 1
    is_distributed = count * job.training_nodes > 1
    for argument, following in itertools.zip_longest(job.trainer_args, job.trainer_args[1:], fillvalue=""):
        name, equals, value = argument.lstrip("+").partition("=")
        if name not in DEVICE_OPTIONS:
            continue
        value = value if equals else following
        number = re.fullmatch(r"cuda:(\d{1,4})", value.strip("'\""))
        way, why = suggest_leaving_out(argument.partition("=")[0]), ""
        if is_distributed:
            title, why = f"{name} has no effect on several processes", "Each of them takes a GPU of its own."
        elif name == SIMULATION_DEVICE:
            title, why = f"{name} has no effect", f"The script replaces it by {DEVICE_OPTION}, whose default is cuda:0."
            way = Suggestion(f"-- {DEVICE_OPTION} {value or 'DEVICE'}", replaces=argument.partition("=")[0])
        elif number and int(number[1]) >= count:
            title = f"{value} is none of the job's GPUs: it asks for {count}"
            why = "Where it runs, its own are numbered from 0. CUDA_VISIBLE_DEVICES chooses one of this machine."
        else:
            continue
        yield make_problem("device-unusable", way, given=argument, title=title, why=why)


def check_script_options(job: "Job", script: script_options.Script) -> Iterator[Problem]:
    """Check what comes after `--`: Isaac Lab's scripts would do it only once the simulator has started."""
    script = script._replace(pass_unknown=job["pass_unknown"])
    found = script_options.find_option_problems(job.trainer_args, script, job["isaac_version"])
    yield from rules.make_option_problems(found)
    yield from check_device(job)
