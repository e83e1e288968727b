"""`robotrain from-lerobot`: translate a line of lerobot-train or lerobot-eval, and of its launcher, to robotrain.

The options that the container of a translated line would give LeRobot are compared with those of the line itself: what
robotrain does otherwise by default becomes a flag, or an option after `--`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from robotrain.cli.arguments import JsonOption, argument
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.line_check import check_line

from robotrain_workloads.lerobot import backbones
from robotrain_workloads.lerobot.remote_code import TRUST_FLAG
from robotrain_workloads.lerobot_options import edited_dataset, effective_options, option_reasons
from robotrain_workloads.lerobot_options.effective_options import PRECISION, format_value
from robotrain_workloads.lerobot_options.line_translator import EXCLUDED, LineTranslator
from robotrain_workloads.lerobot_options.option_spelling import fill_in_hint
from robotrain_workloads.lerobot_options.program_line import (
    expand_account_variables,
    find_program,
    find_program_word,
    read_program_line,
)
from robotrain_workloads.lerobot_options.robotrain_line import RobotrainLine
from robotrain_workloads.lerobot_options.translated_options import TRAINING, TranslatedOptions
from robotrain_workloads.line_translation.script_file import check_script_exists, find_program_line, is_script
from robotrain_workloads.line_translation.translated_line import (
    LINE_HELP,
    SHELL_REASON,
    TranslatedLine,
    cut_shell_words,
    make_line_app,
    print_line,
    split_line,
)

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job

HELP_OPTIONS = ("--help", "-h")


def from_lerobot(
    ctx: typer.Context,
    line: Annotated[list[str] | None, argument("-- LINE...", LINE_HELP)] = None,
    json: JsonOption = False,
) -> None:
    """Print the robotrain line that does what a line of `lerobot-train` or `lerobot-eval` does.

    The line may begin with variables, python, uv run, accelerate launch, torchrun or srun; a batch script may stand for
    the line that it has. Values that LeRobot uses where none is given are added if robotrain's differ. An option that
    changes nothing is left out, and named; a line that cannot mean the same is an error. For lerobot-edit-dataset, the
    options with which a training merges datasets or leaves episodes out. Nothing is submitted.

    robotrain from-lerobot -- lerobot-train --policy.type=act --dataset.repo_id=lerobot/pusht --steps=1000
    """
    print_line(ctx, translate_lerobot_line(line or [], ctx), json)


def translate_lerobot_line(line: Sequence[str], ctx: typer.Context) -> TranslatedLine:
    """Return the robotrain line for a line of LeRobot's. Raise Rejected if it names no program that is known."""
    plugins = get_plugins(ctx)
    programs = ((name, workload.program_options) for name, workload in plugins.workloads().items())
    program_names = [name for name, program in programs if program and program.translator == "from-lerobot"]
    program_names.append(edited_dataset.PROGRAM)
    script = None
    if is_script(line):
        script = find_program_line(line[0], lambda words: find_program_word(words, program_names) is not None)
    elif find_program_word(line, program_names) is None:
        check_script_exists(line)
    words = script.words if script else split_line(line)
    line = [expand_account_variables(word) for word in words if word.strip()]
    program_index, name = find_program(line, program_names)
    options, following_words = cut_shell_words(line[program_index + 1 :])
    if not {*HELP_OPTIONS}.isdisjoint(options):
        workload = TRAINING if name == edited_dataset.PROGRAM else name
        return TranslatedLine(("robotrain", "submit", workload, "--help"), {})
    if name == edited_dataset.PROGRAM:
        return edited_dataset.translate_edit(options)
    program = read_program_line(line[:program_index], line[program_index], (name, *line[program_index + 1 :]))
    if script:
        program.left_out |= script.left_out
    line_options = TranslatedOptions(plugins.workload(name), options, program)
    robotrain_line = RobotrainLine(line_options, program, plugins.default_workload())
    if script:
        robotrain_line.add_batch_options(script.batch)
        robotrain_line.add_loops(script.loops)
    if following_words:
        is_second = find_program_word(following_words, program_names) is not None
        reasons = line_options.refused if is_second else line_options.left_out
        reasons[" ".join(following_words)] = option_reasons.SECOND_PROGRAM if is_second else SHELL_REASON
    LineTranslator(line_options, program, plugins.source_kinds()).translate()
    if line_options.is_training and not line_options.is_resumed:
        checked_line = check_line(ctx, robotrain_line.make_line().check_words[1:])
        while (
            not line_options.refused
            and checked_line.job is not None
            and _correct(robotrain_line, checked_line.job, checked_line.problems)
        ):
            checked_line = check_line(ctx, robotrain_line.make_line().check_words[1:])
    return robotrain_line.make_line()


def _add_code_trust(line: RobotrainLine, job: Job) -> bool:
    """Add the repositories whose Python code LeRobot would run; return whether there are any to add."""
    start = (
        None if line.options.trained.settings is None else backbones.PolicyFiles(settings=line.options.trained.settings)
    )
    needed_repositories = backbones.list_needed(dict(job.parameters), job.trainer_args, start)
    code = ",".join(f"{repository.name}@COMMIT" for repository in needed_repositories if repository.runs_code)
    if not code or TRUST_FLAG in line.options.flags:
        return False
    line.options.flags[TRUST_FLAG] = (TRUST_FLAG, code)
    line.stand_ins[code] = code.replace("COMMIT", "0" * 40)
    line.options.notes[TRUST_FLAG] = option_reasons.TRUST_NOTE.format(line.options.trained.kind)
    return True


def _correct(line: RobotrainLine, job: Job, problems: Sequence[Problem]) -> bool:
    """Add what LeRobot trains with and the job so far does not; return whether there was something to add.

    Flags are first, as one may change several options. What no flag and no option can give is refused, unless
    `problems` say why already.
    """
    trained_type = line.options.trained
    container = importlib.import_module(line.options.workload.container_plugin)
    options, precision = container.list_job_options(job, trained_type.settings)
    if _add_code_trust(line, job):
        return True
    skipped_options = {EXCLUDED, *(option.removeprefix("--") for option in line.options.left_out)}
    option_values = {
        name: wanted_value for name, wanted_value in line.options.texts.items() if name not in skipped_options
    }
    option_values[f"{trained_type.model}.type"] = trained_type.kind
    compute = effective_options.compute_effective_options
    wanted_options = compute(option_values, line.options.tree, trained_type.settings, line.program.precision)
    differences = effective_options.find_differences(
        line.options.tree, wanted_options, compute(options, line.options.tree, trained_type.settings, precision)
    )
    start = f"{trained_type.model}.path"
    if trained_type.settings is None and start in line.options.texts:  # both leave what it says as it is
        line.options.notes[f"--{start}"] = option_reasons.START_NOTE.format(trained_type.model)
        unknown_options = (f"{trained_type.model}.", PRECISION)
        differences = {
            name: value_pair for name, value_pair in differences.items() if not name.startswith(unknown_options)
        }
    flags = dict[str, tuple[str, ...]]()
    arguments = list[str]()
    for name, (wanted_value, _) in differences.items():
        hint = line.options.find_hint(name) or ""
        words = (
            ("--mixed-precision", str(wanted_value))
            if name == PRECISION
            else fill_in_hint(hint, format_value(wanted_value))
        )
        if words and wanted_value is not None and line.options.flags.get(words[0]) != words:
            flags[words[0]] = words
        elif (
            not hint and wanted_value is not None and f"--{name}={format_value(wanted_value)}" not in line.options.rest
        ):
            arguments.append(f"--{name}={format_value(wanted_value)}")
    line.options.flags |= flags
    line.options.rest += [] if flags else arguments[:1]
    if not (flags or arguments or problems):
        type_option = f"{trained_type.model}.type"
        for name, (wanted_value, actual_value) in differences.items():
            if type_option in differences and name != type_option:
                continue
            option_texts = (f"--{name}={format_value(setting)}" for setting in (actual_value, wanted_value))
            line.options.refused[f"--{name}"] = option_reasons.OTHER_VALUE.format(*option_texts)
    return bool(flags or arguments)


app = make_line_app(from_lerobot)
