"""Rules of `command` for a resolved job, on the submit side."""

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.source import LOCAL_KIND
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact
from robotrain.store.code_folder import CodeContent
from robotrain_runtime.contract.parameter import load_pairs

from robotrain_workloads import code_rules
from robotrain_workloads.command import launcher, metric_patterns, parameters, placeholders, script_facts
from robotrain_workloads.supervision.metric_row import LONGEST_NAME, clean_name, is_clean_name

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain_runtime.contract.document import JobSource

make_problem = Messages(__file__)

OUTPUTS_VARIABLE = script_facts.OUTPUTS_VARIABLE
STARTERS = {".py": "python", ".sh": "bash"}
"""What starts a file of the code, by the end of its name."""
PYTHON_SWITCHES = ("-u", "-O", "-B", "-s", "-E", "-I")
"""Options of Python without a value, before the script."""
SHELLS = ("bash", "sh")
MAX_NAMES = 5


def check_command(job: "Job") -> Iterator[Problem]:
    """Require a command that can be started as it is written."""
    words = job.trainer_args
    if not words or not words[0].strip():
        yield make_problem("command-missing")
        return
    if not job["shell"]:
        yield from _check_program(words, code_rules.find_code(job))
    if job["shell"] and len(words) != 1:
        yield make_problem("command-invalid.shell-script", count=len(words))
    if job["launcher"]:
        try:
            launcher.find_program([] if job["shell"] else words)
        except ValueError as error:
            command = redact(" ".join(words[:2]))
            ways = (Suggestion("-- python SCRIPT ARGUMENTS"), suggest_leaving_out("--launcher"))
            yield make_problem("launcher-invalid", *ways, given=command, launcher=job["launcher"], why=str(error))


def _check_program(words: Sequence[str], code: "JobSource | None") -> Iterator[Problem]:
    """Require that a command begins with a program: a name without a folder is looked for on PATH alone."""
    if len(words) == 1 and len(words[0].split()) > 1:
        yield make_problem("command-invalid.one-text", given=words[0], words=redact(words[0]))
    if words[0].startswith("-"):
        yield make_problem("command-invalid.option-first", given=words[0])
    elif code and code.kind == LOCAL_KIND and "/" not in words[0] and (Path(code.uri) / words[0]).is_file():
        starter = next((name for suffix, name in STARTERS.items() if words[0].endswith(suffix)), "")
        command = [starter, *words] if starter else [f"./{words[0]}", *words[1:]]
        yield make_problem("command-invalid.no-program", given=words[0], command=redact(shlex.join(command)))


def check_placeholders(job: "Job") -> Iterator[Problem]:
    """Require that each placeholder has a value."""
    if job["shell"] or not job.trainer_args:
        return
    own_names = parameters.list_own(name for name, _ in job.parameters)
    words = (*job.trainer_args, *list_resume_args(job))
    used_names = placeholders.list_names(words)
    counts = {role: sum(source.role == role for source in job.sources) for role in ("dataset", "policy")}
    for name in used_names:
        if name not in (*placeholders.NAMES, *own_names):
            known_names = (*placeholders.NAMES, *own_names)
            ways = (
                *(Suggestion(f"{{{nearest_way.text}}}") for nearest_way in suggest_name(name, known_names)),
                Suggestion(f"--param {name}=VALUE", "a parameter of your own"),
                Suggestion(f"{{{{{name}}}}}", f"the text {{{name}}} itself"),
            )
            given = f"{{{name}}}"
            yield make_problem("placeholder-unknown", *ways, given=given, name=name, known=", ".join(known_names))
        elif name == placeholders.RESUME and name in placeholders.list_names(job.trainer_args):
            way = Suggestion(parameters.RESUME_LINE)
            yield make_problem("placeholder-empty.resume", way, given=f"{{{name}}}")
        elif empty := _explain_empty(name, job, counts):
            input_name = "dataset" if name == placeholders.DATASETS else name
            yield make_problem(
                "placeholder-empty.argument",
                Suggestion(empty[1]),
                absent=(input_name,),
                given=f"{{{name}}}",
                title=empty[0],
            )
    yield from _check_datasets_alone(words)


def check_nodes(job: "Job") -> Iterator[Problem]:
    """Require a command of several nodes to know about them: else each would do all of the work on its own."""
    words, count = job.trainer_args, job.training_nodes
    if count == 1 or not words or job["launcher"]:
        return
    if job["shell"]:
        is_used = any(name in words[0] for name in placeholders.make_variables(dict.fromkeys(MEETING, ""), ()))
    else:
        is_used = bool({*MEETING} & {*placeholders.list_names((*words, *list_resume_args(job)))})
    if is_used:
        return
    is_python = not job["shell"] and launcher.is_python(words[0])
    fields = TORCHRUN_FIELDS if job["num_gpus"] else TORCHRUN_FIELDS.replace("{num_gpus}", "1")
    ways = (
        *([Suggestion("--launcher torchrun", "starts it once for each GPU of all nodes")] if is_python else []),
        Suggestion(f"-- torchrun {fields} SCRIPT ARGUMENTS") if not job["shell"] else Suggestion(SHELL_FIELDS),
        Suggestion("--num-nodes 1"),
    )
    yield make_problem("nodes-unused", *ways, given=str(count), count=count)


MEETING = (placeholders.NODE_RANK, placeholders.MASTER_ADDR)
"""The placeholders of which a command of several nodes has one."""
TORCHRUN_FIELDS = (
    "--nnodes {num_nodes} --node-rank {node_rank} --nproc-per-node {num_gpus}"
    " --master-addr {master_addr} --master-port {master_port}"
)
SHELL_FIELDS = "-- 'PROGRAM --rank $ROBOTRAIN_NODE_RANK --address $ROBOTRAIN_MASTER_ADDR:$ROBOTRAIN_MASTER_PORT'"
USED_BY = {"dataset": (placeholders.DATASET, placeholders.DATASETS), "policy": (placeholders.POLICY,)}
"""By role, the placeholders that stand for its sources."""


def _explain_empty(name: str, job: "Job", counts: dict[str, int]) -> tuple[str, str] | None:
    """Return why a placeholder has no value in this job, and what to type; None if it has one."""
    if name in (placeholders.DATASET, placeholders.DATASETS) and not counts["dataset"]:
        return f"the command uses {{{name}}}, and the job has no dataset", "--dataset-path FOLDER"
    if name == placeholders.DATASET and counts["dataset"] > 1:
        return f"the command uses {{dataset}}, and the job has {counts['dataset']} datasets", "{datasets}"
    if name == placeholders.POLICY and not counts["policy"]:
        return "the command uses {policy}, and the job has no policy", "--policy-path FOLDER"
    if name == placeholders.SEED and job["seed"] is None:
        return "the command uses {seed}, and the job has no seed", "--seed N"
    return None


def list_resume_args(job: "Job") -> tuple[str, ...]:
    """Return the arguments after an interruption; none if they are wrong, which another rule says."""
    try:
        return parameters.parse_resume_args(job["resume_args"])
    except ValueError:
        return ()


def _check_datasets_alone(words: Iterable[str]) -> Iterator[Problem]:
    placeholder = f"{{{placeholders.DATASETS}}}"
    for argument in words:
        if argument != placeholder and placeholders.DATASETS in placeholders.list_names([argument]):
            yield make_problem("placeholder-misplaced", Suggestion(placeholder), given=argument, text=placeholder)


def check_program_file(job: "Job") -> Iterator[Problem]:
    """Require that the file which the command names is among what the job has: a job starts in the folder of its code.

    Only the program, or the script of what starts one, is looked at, and only where its place is known from here.
    """
    name = _find_started_file(job)
    code = code_rules.find_code(job)
    if not name or PurePosixPath(name).is_absolute():
        return
    if code is None:
        is_here = Path(name).is_file()
        if is_here or "/" in name or name != job.trainer_args[0]:
            message = "program-missing.no-code" if is_here else "program-missing.nowhere"
            way = Suggestion("--code ." if is_here and ".." not in PurePosixPath(name).parts else "--code FOLDER")
            yield make_problem(message, way, absent=("code",), given=name, name=redact(name))
    elif code.kind == LOCAL_KIND and Path(code.uri).is_dir() and not Path(code.uri, name).exists():
        folder = PurePosixPath(name).parent
        glob_pattern = f"*{PurePosixPath(name).suffix or '.py'}"
        files = sorted((folder / path.name).as_posix() for path in Path(code.uri, folder).glob(glob_pattern))
        reason = f"It has {', '.join(files[:MAX_NAMES])}." if files else ""
        yield make_problem(
            "program-missing.not-in-code", *suggest_name(name, files), given=name, name=redact(name), why=redact(reason)
        )


WRITES = re.compile(r"out|save|log|result|export|write|dump|record|plot|video|run|work")
"""In the name of an option: its value is what the program makes, also if it is there already."""


def check_ignored_arguments(job: "Job", content: CodeContent) -> Iterator[Problem]:
    """Refuse an argument that names a file of the folder which is not sent with the code; warn of a folder."""
    code = code_rules.find_code(job)
    if job["shell"] or code is None:
        return
    for previous, word in zip(("", *job.trainer_args), job.trainer_args, strict=False):
        option, _, value = word.partition("=") if word.startswith("-") else (previous, "", word)
        path = os.path.normpath(value)
        here = Path(code.uri, path)
        is_output = path == job["output_folder"] or (option.startswith("-") and WRITES.search(option))
        if is_output or path == "." or path.startswith(("..", "/")) or not here.exists():
            continue
        is_sent = path in (*content.files, *content.links) or any(name.startswith(f"{path}/") for name in content.files)
        if is_sent or (here.is_dir() and not any(here.iterdir())):
            continue
        is_folder = here.is_dir()
        ways = [Suggestion(f"--dataset-path {shlex.quote(str(here))}", "and {dataset} in the command")] * is_folder
        problem = make_problem("command-path-ignored", *ways, given=word, name=redact(path))
        yield replace(problem, severity="warning") if is_folder else problem


def find_program_file(job: "Job") -> str:
    """Return the path of the program, or of the script that a Python runs; empty if there is none, or is unknown."""
    words = job.trainer_args
    if job["shell"] or not words:
        return ""
    if launcher.is_python(words[0]):
        script = next((word for word in words[1:] if word not in PYTHON_SWITCHES), "")
        return "" if script.startswith("-") or placeholders.list_names([script]) else script
    return words[0] if "/" in words[0] and not placeholders.list_names(words[:1]) else ""


def _find_started_file(job: "Job") -> str:
    """Return the path of the file that a command starts, also by a shell or by a launcher; empty if none is known."""
    words = job.trainer_args
    if job["shell"] or not words or (file := find_program_file(job)):
        return find_program_file(job)
    is_started = words[0] in (*SHELLS, *parameters.LAUNCHERS)
    file = next((word for word in (words[1:] if is_started else words[:1]) if word.endswith((*STARTERS,))), "")
    is_other = file.startswith("-") or " " in file or bool(placeholders.list_names([file]))
    return "" if is_other or not {"-m", "-c"}.isdisjoint(words) else file


def find_script(job: "Job") -> tuple[Path, str] | None:
    """Return the folder of the code and the Python script in it that the command runs; None if they are not here."""
    name = find_program_file(job)
    code = code_rules.find_code(job)
    return (Path(code.uri), name) if name.endswith(".py") and code and code.kind == LOCAL_KIND else None


def check_metrics(job: "Job") -> Iterator[Problem]:
    """Require expressions that can find numbers, and names that MLflow takes."""
    for name, expression in load_pairs(job["metrics"]).items():
        if not is_clean_name(name):
            yield make_problem(
                "value-invalid.metric-name",
                given=name,
                longest_name=LONGEST_NAME,
                clean_name=clean_name(name) or "loss",
            )
        yield from _check_pattern("--metric", expression, metric_patterns.compile_metric, f"{name}=", LOSS_PATTERN)
    if job["step_pattern"]:
        yield from _check_pattern("--step", job["step_pattern"], metric_patterns.compile_step, "", STEP_PATTERN)


LOSS_PATTERN, STEP_PATTERN = "loss[=: ]+([0-9.eE+-]+)", "step[=: ]+([0-9]+)"
"""Examples for suggestions."""


def _check_pattern(
    flag: str, expression: str, check: Callable[[str], object], name: str, example: str
) -> Iterator[Problem]:
    try:
        check(expression)
    except ValueError as error:
        option, example = f"{name}{expression}", f"{name}{example}"
        yield make_problem("value-invalid.number", where=flag, given=option, error=str(error), example=example)


def check_outputs(job: "Job") -> Iterator[Problem]:
    """Warn of a program that is not told where its outputs are kept, if it may leave any."""
    parameter_values = dict(job.parameters)
    argument_texts = [
        *job.trainer_args,
        *(parameters.format_value(parameter_values[name]) for name in parameters.list_own(parameter_values)),
    ]
    argument_texts += load_pairs(job["environ"]).values()
    folder = f"{{{placeholders.OUTPUTS}}}"
    if name := job["output_folder"]:
        folder_parts = name.split("/")
        if {"", ".", ".."} & {*folder_parts} or placeholders.PLACEHOLDER.search(name):
            yield make_problem("value-invalid.output-folder", given=name)
        return
    if job["checkpoints"] or any(
        folder in argument_text or OUTPUTS_VARIABLE in argument_text for argument_text in argument_texts
    ):
        return
    if any(check_program_file(job)):  # that there is no such program says more
        return
    script = find_script(job)
    facts = script_facts.read_script(Path(*script)) if script else script_facts.ScriptFacts()
    if facts.reads_outputs:
        return
    ways = [
        Suggestion(f"-- … {facts.output_option or 'OPTION'} {folder}", "the program's own option for its outputs"),
        Suggestion(f"--output-folder {facts.output_folder or 'FOLDER'}", "the folder that it writes to itself"),
        Suggestion("--publish-url none", "keeps nothing, on purpose"),
    ]
    # what a script says to write elsewhere is no output of the run on this machine either
    is_elsewhere = facts.output_option or facts.output_folder
    absent_parameters = ("publish_url", "output_folder") if is_elsewhere else ("publish_url",)
    if facts.output_folder and not facts.output_option:
        ways.insert(0, ways.pop(1))
    yield make_problem("command-keeps-nothing", *ways, absent=absent_parameters, folder=folder)


def check_results(job: "Job") -> Iterator[Problem]:
    """Require a file below the outputs."""
    name = job["results"]
    if name is None:
        return
    name_parts = name.split("/")
    if ".." in name_parts or "" in name_parts or name.startswith("/") or placeholders.PLACEHOLDER.search(name):
        yield make_problem("value-invalid.results", given=name)
