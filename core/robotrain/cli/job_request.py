"""What the arguments of a command that takes a job ask for, and the job of it, checked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from robotrain_runtime.contract.parameter import UNSET, Parameter

from robotrain.cli import usage
from robotrain.cli.command_factory import AFTER_DASHES_KEY, get_plugins
from robotrain.cli.missing_plugins import load_named_plugin, make_platform_missing_problem
from robotrain.cli.options import OFF_TABLE, ORDER_KEY, SET_NAME, ComposedOptions, is_flag
from robotrain.cli.output import print_message
from robotrain.config import assignments, job_writer, program_file
from robotrain.config.request import Request
from robotrain.config.selection import Choice
from robotrain.config.terraform import TerraformLayer
from robotrain.config.trainer_args import read_after_dashes
from robotrain.config.unknown_keys import find_unknown_tables
from robotrain.config.values import DEFAULT_ORIGIN, FLAG_NAME, Layer, Origin, SourceText, Value, prefix_names
from robotrain.errors import Problem, Rejected, collect_problems
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload
from robotrain.plugins.failures import make_no_workload_error
from robotrain.submission import prepare
from robotrain.submission.prepare import PreparedJob, Purpose

if TYPE_CHECKING:
    from robotrain.pipelines.prepare import PreparedPipeline


class TypedJob(NamedTuple):
    """What was typed of a command that takes a job."""

    ctx: typer.Context
    choice: Choice
    options: ComposedOptions
    values: dict[str, Any]
    """By the names of options."""
    """Returns those of the command itself, whatever the job is."""


def prepare_job(typed: TypedJob, purpose: Purpose) -> PreparedJob:
    """Return the job that the arguments ask for, saved where they say so. Raise Rejected with all problems."""
    values = typed.values
    request, workload, platform, problems = read_request(typed)
    prepared = prepare.prepare_job(
        request,
        workload,
        platform,
        get_plugins(typed.ctx),
        tuple(problems),
        assets_only=bool(values.get("assets_only")),
        purpose=purpose,
    )
    if workload.evaluated_with and dict(prepared.job.parameters)[workload.evaluated_with] is not None:
        from robotrain.cli import evaluated_training  # costs start-up

        raise Rejected([evaluated_training.make_misplaced_evaluation(workload, prepared.values)])
    if path := values.get("save_as"):
        job_writer.save_job_file(prepared.resolution, platform.name, path)
        print_message(f"wrote the job to {path}")
        for flag in job_writer.list_unsaved_patches(prepared.resolution):
            print_message(f"  {flag} is not in it: a job file cannot hold one")
    return prepared


def prepare_evaluated(typed: TypedJob, purpose: Purpose) -> "PreparedPipeline":
    """Return the pipeline of a job and the evaluation of its checkpoints. Raise Rejected with all problems."""
    from robotrain.cli import evaluated_training

    return evaluated_training.prepare_evaluated(typed.ctx, typed.values, lambda: read_request(typed), purpose)


def read_request(typed: TypedJob) -> tuple[Request, Workload, Platform, list[Problem]]:
    """Return what the arguments ask for, the chosen workload and platform, and the problems so far."""
    ctx, choice, options, values = typed
    plugins = get_plugins(ctx)
    swallowed_flags = list(usage.find_swallowed_flags(values, options))
    misread_names = {options.flags[problem.where] for problem in swallowed_flags}
    values = {name: value for name, value in values.items() if name not in misread_names}
    typed = typed._replace(values=values)
    problems = [
        *usage.find_option_clashes(options),
        *swallowed_flags,
        *usage.find_repeated_options(ctx.meta.get(ORDER_KEY, []), options),
        *find_unknown_tables(choice.files, choice.project, plugins),
        *usage.check_save_path(values.get("save_as")),
    ]
    workload, platform = _load_chosen(typed, problems)
    request, mistakes = make_request(typed, workload, platform, problems)
    return request, workload, platform, [*problems, *mistakes]


def make_request(
    typed: TypedJob, workload: Workload, platform: Platform, problems: Sequence[Problem]
) -> tuple[Request, Sequence[Problem]]:
    """Return what the arguments ask for, and the problems of `--set`."""
    ctx, choice, options, values = typed
    kinds = get_plugins(ctx).source_kinds()
    line_layer, mistakes = read_line(values, ctx.meta.get(ORDER_KEY, []), options)
    after_dashes = read_after_dashes(ctx.meta.get(AFTER_DASHES_KEY) or ())
    program = None
    if choice.program:
        program = program_file.add_program(choice.program, after_dashes, line_layer, choice.files, workload, kinds)
        line_layer, after_dashes = program.line, program.command
    request = Request(
        line=line_layer,
        after_dashes=after_dashes,
        files=choice.files,
        surroundings=choice.surroundings,
        terraform=TerraformLayer(choice.surroundings),
        flags=frozenset(options.flags),
        name=Value(values["name"], FLAG_NAME) if values.get("name") else None,
        unread=usage.find_unread_inputs(problems, options, workload),
    )
    if sets := [assignment for assignment in values.get(SET_NAME) or () if not is_flag(assignment, options)]:
        request, set_problems = assignments.apply_assignments(request, sets, workload, platform, kinds)
        mistakes = [*mistakes, *set_problems]
    if program:
        request, notes = program_file.add_needs(program, request, workload, platform, kinds)
        mistakes = [*mistakes, *notes]
    return request, mistakes


def _load_chosen(typed: TypedJob, problems: list[Problem]) -> tuple[Workload, Platform]:
    """Return the workload and the platform, with the problems of the words added to `problems`.

    Raise Rejected with all problems when one is missing, or another workload is meant than the default.
    """
    ctx, choice, options, values = typed
    plugins = get_plugins(ctx)
    is_default = choice.origins[0] == DEFAULT_ORIGIN
    swallowing_flags = {problem.where for problem in problems if problem.code == "flag-without-value"}
    workload: Workload | None = None
    platform: Platform | None = None
    if choice.workload:
        with collect_problems(problems):
            workload = load_named_plugin(plugins, "workload", choice.workload, choice.origins[0])
        problems += plugins.default_problems() if is_default else ()
    else:
        problems += make_no_workload_error(plugins.list_names("workload")).problems
    if workload:  # without one, every option of a workload would seem unknown
        words = [] if swallowing_flags else values.get("words") or []
        problems += usage.find_unknown_words(words, choice, options, plugins)
        problems += usage.find_missing_program(choice, workload, values, options)
        problems += usage.find_program_of_file(choice, workload, plugins) if is_default else ()
        problems += usage.find_placeholders(values, workload, options)
    files = [*(choice.file.problems if choice.file else ()), *(choice.project.problems if choice.project else ())]
    is_platform_meant = any(way.text.startswith("--platform") for problem in problems for way in problem.suggestions)
    if not choice.platform:
        problems += [make_platform_missing_problem(plugins)] if not files and not is_platform_meant else []
    elif choice.origins[1].where not in swallowing_flags:
        with collect_problems(problems):
            platform = load_named_plugin(plugins, "platform", choice.platform, choice.origins[1])
    messages = {problem.message for problem in problems}
    is_other_meant = is_default and not messages.isdisjoint(usage.OTHER_MEANT)
    if workload is None or platform is None or is_other_meant:
        raise Rejected([*problems, *files])
    return workload, platform


def read_line(values: Mapping[str, Any], order: Sequence[str], options: ComposedOptions) -> tuple[Layer, list[Problem]]:
    """Return what the options of a job give, and the problems of `--param`.

    :param values: of all options, by their names.
    :param order: the names of the options as they were typed.
    """
    line_values = dict(read_declared(values, options))
    problems = list[Problem]()
    if param_texts := _drop_flags(values.get("param"), options):
        from robotrain.config import own_parameters  # costs start-up

        params, problems = own_parameters.parse_params(param_texts)
        line_values |= prefix_names("params", params)
    if values.get("config"):
        line_values["config"] = Value(values["config"], Origin("flag", "--config"))
    return Layer(line_values, tuple(_read_sources(values, order, options))), problems


def read_declared(values: Mapping[str, Any], options: ComposedOptions) -> Iterator[tuple[str, Value]]:
    """Yield the values of declared options, as raw text by their names in a job file."""
    for name, parameter in options.declared.items():
        if values.get(f"{OFF_TABLE}.{name}"):
            yield name, Value(parameter.param.off_value, Origin("flag", parameter.param.off))
        value, flag = values.get(name), parameter.flag
        if value is False:
            flag = f"--no-{flag[2:]}"
        if (raw_value := _make_raw(parameter, value, options)) is not None:
            yield name, Value(raw_value, Origin("flag", flag))


def _make_raw(parameter: Parameter, value: Any, options: ComposedOptions) -> Any:
    """Return the raw value of an option: a text or a list of them; None if it is not given."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if parameter.param.form not in ("pairs", "texts"):
        return None if is_flag(value, options) else value
    if value and list(value) == [UNSET] and parameter.can_be_unset:
        return UNSET
    return _drop_flags(value, options) or None


def _read_sources(values: Mapping[str, Any], order: Sequence[str], options: ComposedOptions) -> Iterator[SourceText]:
    """Yield the sources in the order typed, across different flags."""
    queues = {name: iter(values.get(name) or ()) for name in options.sources}
    for name in order:
        option = options.sources.get(name)
        source_text = next(queues[name], None) if option else None
        if option and source_text is not None:  # else its value is another option
            origin = Origin("flag", option.flag.flag)
            yield SourceText(option.role, option.kinds, source_text, origin, Path.cwd())


def _drop_flags(texts: Iterable[str] | None, options: ComposedOptions) -> list[str]:
    return [text for text in texts or () if not is_flag(text, options)]
