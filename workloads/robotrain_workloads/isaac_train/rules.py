"""Rules of `isaac-train` for a resolved job, on the submit side."""

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion, make_usage_problem, suggest_choosing, suggest_leaving_out
from robotrain.redaction import redact

from robotrain_workloads import code_rules
from robotrain_workloads.code_rules import CODE_FLAG
from robotrain_workloads.isaac.rules import CHECKPOINT_FLAG
from robotrain_workloads.isaac_train import parameters

if TYPE_CHECKING:
    from robotrain.model.job import Job

MODE_FLAG = "--checkpoint-mode"


def check_start(job: "Job") -> Iterator[Problem]:
    """Require a checkpoint for the modes that use one, and none for `from-scratch`."""
    roles = {source.role for source in job.sources}
    mode = parameters.choose_mode(dict(job.parameters), roles)
    checkpoint = next((source for source in job.sources if source.role == "checkpoint"), None)
    if checkpoint and "resume" in roles:
        yield make_usage_problem(
            "sources-conflict",
            "a training starts from one checkpoint, but two are given",
            given=", ".join(f"{source.role} {redact(source.uri)}" for source in job.sources),
            suggestions=[
                suggest_choosing(
                    f"{CHECKPOINT_FLAG} {redact(checkpoint.uri)}",
                    *(f"--resume-from {redact(one.uri)}" for one in job.sources if one.role == "resume"),
                )
            ],
        )
    elif checkpoint and mode == "from-scratch":
        yield make_usage_problem(
            "option-without-effect",
            f"{CHECKPOINT_FLAG} needs a {MODE_FLAG} that uses it",
            where=MODE_FLAG,
            given=str(job["checkpoint_mode"] or "from-scratch"),
            why="A training from scratch starts from random weights.",
            suggestions=(
                Suggestion(
                    f"{MODE_FLAG} MODE",
                    "warm-start: the weights and the normalizer, from iteration 0; resume: all state, from the"
                    " checkpoint's iteration",
                ),
            ),
            absent=("checkpoint_mode",) if job["checkpoint_mode"] is None else (),
        )
    elif mode != "from-scratch" and not checkpoint and "resume" not in roles:
        yield make_usage_problem(
            "option-without-effect",
            f"{MODE_FLAG} {mode} needs a checkpoint",
            where=MODE_FLAG,
            given=str(job["checkpoint_mode"]),
            why="Without one the training would silently start from scratch.",
            suggestions=(Suggestion(f"{CHECKPOINT_FLAG} URI"), Suggestion(f"{MODE_FLAG} from-scratch")),
            absent=("checkpoint", "resume"),
        )


def check_iterations_left(job: "Job") -> Iterator[Problem]:
    """Require iterations after a checkpoint of rsl_rl, whose name has its iteration, before a machine is used."""
    total = job["max_iterations"]
    if total is None or parameters.choose_mode(dict(job.parameters), {one.role for one in job.sources}) != "resume":
        return
    for source in job.sources:
        if (match := re.search(r"(?:^|/)model_(\d+)\.pt$", source.uri)) and (done := int(match[1]) + 1) >= total:
            yield Problem(
                code="nothing-left-to-train",
                stage=Stage.PREFLIGHT,
                title=f"the checkpoint has {done} iterations, and the training ends after {total}",
                where="--max-iterations",
                given=redact(source.uri),
                why="--max-iterations counts all iterations, including those before the checkpoint.",
                suggestions=(Suggestion("--max-iterations N", f"more than {done}"),),
            )


def check_training_folder(job: "Job") -> Iterator[Problem]:
    """Name the user's program before it is sent; require it, and refuse secrets, links and options without effect."""
    source, entry = code_rules.find_code(job), str(job["entry"])
    if source is None:
        if entry != parameters.ENTRY:
            fixes = (suggest_leaving_out("--entry"), Suggestion(f"{CODE_FLAG} FOLDER"))
            title = "--entry has no effect without a training folder"
            yield make_usage_problem("option-without-effect", title, "--entry", "", redact(entry), fixes)
        return
    title = f"the job runs {entry} of {redact(source.uri)}; checkpoints, warm start and model tags are its own business"
    yield Problem(code="own-program", stage=Stage.PARSE, severity="note", title=title)
    for name in ("publish_url", "isaac_version"):
        if job[name] is not None:
            flag = f"--{name.replace('_', '-')}"
            title, why = f"{flag} has no effect with {CODE_FLAG}", "It is for Isaac Lab's own scripts."
            ways: tuple[Suggestion, ...] = (suggest_leaving_out(flag),)
            yield make_usage_problem("option-without-effect", title, flag, why, redact(str(job[name])), ways)
    if (count := job.training_nodes) > 1:
        title, why = f"--num-nodes has no effect with {CODE_FLAG}", "Each node would run the program on its own."
        ways = (
            suggest_leaving_out("--num-nodes"),
            Suggestion("robotrain submit command", "a program of yours on several nodes"),
        )
        yield make_usage_problem("option-without-effect", title, "--num-nodes", why, str(count), ways)
    yield from code_rules.check_code(job, CODE_FLAG, lambda content: _check_entry(content.files, entry, source.uri))


def _check_entry(files: Collection[str], entry: str, folder: str) -> Iterator[Problem]:
    """Require the program among the files that are sent."""
    if entry not in files:
        where = ", ".join([path for path in files if path.endswith(".sh")][: code_rules.MAX_NAMES])
        why = f"It has {where}." if where else "It has no program ending in .sh, or an ignore file names it."
        fixes = (Suggestion("--entry FILE", "another program of the folder"),)
        title = f"the training folder has no {entry}"
        yield make_usage_problem("entry-missing", title, CODE_FLAG, why, folder, fixes)
