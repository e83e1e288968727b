"""Rules of `isaac-train` for a resolved job, on the submit side."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_choosing, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain.store.files import get_cache_folder

from robotrain_workloads import code_rules
from robotrain_workloads.code_rules import CODE_FLAG
from robotrain_workloads.isaac import checkpoint_file
from robotrain_workloads.isaac.parameters import TASKS_ENTRY
from robotrain_workloads.isaac.profile import get_option_name
from robotrain_workloads.isaac.rules import CHECKPOINT_FLAG, check_own_tasks
from robotrain_workloads.isaac_train import parameters

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)


def check_start(job: "Job") -> Iterator[Problem]:
    """Require a checkpoint for the modes that use one, and none for `from-scratch`."""
    roles = {source.role for source in job.sources}
    mode = parameters.choose_mode(dict(job.parameters), roles)
    checkpoint = next((source for source in job.sources if source.role == "checkpoint"), None)
    if checkpoint and "resume" in roles:
        yield make_problem(
            "sources-conflict",
            suggest_choosing(
                f"{CHECKPOINT_FLAG} {redact(checkpoint.uri)}",
                *(f"--resume-from {redact(source.uri)}" for source in job.sources if source.role == "resume"),
            ),
            given=", ".join(f"{source.role} {redact(source.uri)}" for source in job.sources),
        )
    elif checkpoint and mode == "from-scratch":
        yield make_problem(
            "option-without-effect.checkpoint",
            given=str(job["checkpoint_mode"] or "from-scratch"),
            absent=("checkpoint_mode",) if job["checkpoint_mode"] is None else (),
            checkpoint_flag=CHECKPOINT_FLAG,
        )
    elif mode != "from-scratch" and not checkpoint and "resume" not in roles:
        yield make_problem(
            "option-without-effect.mode",
            given=str(job["checkpoint_mode"]),
            absent=("checkpoint", "resume"),
            mode=mode,
            checkpoint_flag=CHECKPOINT_FLAG,
        )


def check_trained_task(job: "Job") -> Iterator[Problem]:
    """Warn of a checkpoint of this machine that was trained for another task."""
    for source in job.sources:
        folder = Path(source.uri)
        if source.role != "checkpoint" or source.kind != "local_path" or not folder.exists():
            continue  # what is not here is checked where the job runs
        try:
            file = checkpoint_file.find_checkpoint_file(folder, job["backend"])
        except OSError:
            continue  # the job's preflight says why
        task = checkpoint_file.read_facts(file, folder, get_cache_folder()).task
        if task not in ("", job["task"]):
            yield make_problem(
                "other-task", f"--task {redact(task)}", given=source.uri, trained=redact(task), task=job["task"]
            )


def check_library(job: "Job") -> Iterator[Problem]:
    """Refuse sb3 in several processes, and with an Isaac Lab whose script for it robotrain does not run."""
    if job["backend"] != "sb3" or job["entry"] not in (parameters.ENTRY, TASKS_ENTRY):
        return
    if job["isaac_version"] == "2.3":
        yield make_problem("library-unusable", given="sb3")
    if (job.training_gpus or 1) * job.training_nodes > 1:
        yield make_problem("library-unusable.processes", given="sb3")


def check_iterations_left(job: "Job") -> Iterator[Problem]:
    """Require iterations after a checkpoint of rsl_rl, whose name has its iteration, before a machine is used."""
    total = job["max_iterations"]
    roles = {source.role for source in job.sources}
    if total is None or parameters.choose_mode(dict(job.parameters), roles) != "resume":
        return
    for source in job.sources:
        if (match := re.search(r"(?:^|/)model_(\d+)\.pt$", source.uri)) and (
            done_iterations := int(match[1]) + 1
        ) >= total:
            yield make_problem("nothing-left-to-train", given=source.uri, done=done_iterations, total=total)


def check_training_folder(job: "Job") -> Iterator[Problem]:
    """Name the user's program before it is sent; require it, and refuse secrets, links and options without effect."""
    source, entry = code_rules.find_code(job), str(job["entry"])
    if source is not None and entry == TASKS_ENTRY:
        yield from _check_owned_options(job)
        yield from check_own_tasks(job)
        return
    if source is None:
        if entry != parameters.ENTRY:
            fixes = (suggest_leaving_out("--entry"), Suggestion(f"{CODE_FLAG} FOLDER"))
            yield make_problem("option-without-effect.entry", *fixes, given=entry)
        return
    yield make_problem("own-program", entry=entry, uri=redact(source.uri))
    ways: tuple[Suggestion, ...] = (suggest_leaving_out("--publish-url"),)
    if (address := job["publish_url"]) is not None:
        yield make_problem("option-without-effect.with-code", *ways, given=str(address), code_flag=CODE_FLAG)
    if (count := job.training_nodes) > 1:
        ways = (
            suggest_leaving_out("--num-nodes"),
            Suggestion("robotrain submit command", "a program of yours on several nodes"),
        )
        yield make_problem("option-without-effect.num-nodes", *ways, given=str(count), code_flag=CODE_FLAG)
    yield from code_rules.check_code(job, CODE_FLAG, lambda content: _check_entry(content.files, entry, source.uri))


def _check_owned_options(job: "Job") -> Iterator[Problem]:
    """Refuse what robotrain passes itself to the script that trains the user's tasks, as with Isaac Lab's own."""
    for name in map(get_option_name, job.trainer_args):
        if name in parameters.OWNED_OPTIONS:
            yield make_problem("option-owned", parameters.OWNED_OPTIONS[name], where="--", given=name, name=name)


def _check_entry(files: Collection[str], entry: str, folder: str) -> Iterator[Problem]:
    """Require the program among the files that are sent."""
    if entry not in files:
        programs_text = ", ".join([path for path in files if path.endswith(".sh")][: code_rules.MAX_NAMES])
        reason = (
            f"It has {programs_text}."
            if programs_text
            else "It has no program ending in .sh, or an ignore file names it."
        )
        yield make_problem("entry-missing", where=CODE_FLAG, given=folder, entry=entry, why=reason)
