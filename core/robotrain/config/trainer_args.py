"""Arguments of the trainer, or of a user's own program: options after `--`, merged with those of the job file."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from robotrain.config.request import Request
from robotrain.config.values import Layer, Origin, Value
from robotrain.model.workload import Workload
from robotrain.redaction import hide_secret_arguments

AFTER_DASHES = Origin("flag", "after --")


def read_after_dashes(arguments: Iterable[str]) -> tuple[Value, ...]:
    """Return arguments that stand after `--`."""
    return tuple(Value(argument, AFTER_DASHES) for argument in arguments)


class TrainerOption(NamedTuple):
    """An option with its value, as one or several arguments; arguments that are no option have an empty name."""

    name: str
    arguments: tuple[Value, ...]

    def join(self) -> Value:
        """Return the arguments as one text, secrets hidden."""
        return Value(
            " ".join(str(argument.value) for argument in _hide_secrets(self.arguments)), self.arguments[0].origin
        )


def collect_trainer_args(request: Request, workload: Workload, config: Layer | None = None) -> tuple[Value, ...]:
    """Return the trainer's arguments: each option after `--` replaces the same one of weaker layers.

    :param config: what the workload's own configuration file says, the weakest of them.
    """
    strongest_arguments, *weaker_arguments = [
        layer.arguments for layer in request.layers if layer.arguments is not None
    ] or [()]
    replaced_arguments = tuple(argument for arguments in weaker_arguments for argument in _hide_secrets(arguments))
    strongest_arguments = (
        *(argument._replace(overrode=replaced_arguments) for argument in strongest_arguments[:1]),
        *strongest_arguments[1:],
    )  # the first one shows all they replace
    given_arguments = _replace_options((config and config.arguments) or (), strongest_arguments, workload)
    return _replace_options(given_arguments, request.after_dashes, workload)


def _replace_options(weaker: Sequence[Value], stronger: Sequence[Value], workload: Workload) -> tuple[Value, ...]:
    """Return the weaker arguments whose options are not among the stronger ones, and these."""
    options = list(split_options(stronger, workload))
    option_names = {option.name for option in options}
    merged = list[Value]()
    replaced_by_name = dict[str, list[Value]]()
    for option in split_options(weaker, workload):
        if option.name in option_names:
            replaced_by_name.setdefault(option.name, []).append(option.join())
        else:
            merged += option.arguments
    for option in options:
        first_argument, *other_arguments = option.arguments
        merged += [
            first_argument._replace(overrode=tuple(replaced_by_name.pop(option.name, first_argument.overrode))),
            *other_arguments,
        ]
    return tuple(merged)


def list_option_names(arguments: Iterable[str], workload: Workload) -> set[str]:
    """Return the names of the options among arguments."""
    return {name for argument in arguments if (name := workload.get_option_name(argument))}


def list_program_options(workload: Workload, parameters: Mapping[str, object]) -> list[Any]:
    """Return the options of the program that the parameters of a job bring; none if it gives none of those."""
    options = workload.program_options
    if not options or not options.load or not any(parameters.get(name) for name in options.chosen_by):
        return []
    return list(options.load().list_options(parameters, workload.managed_options))


def format_program_option(option: Any) -> tuple[str, str]:
    """Return an option of the program as help shows it, and its default."""
    default = str(option.default).lower() if isinstance(option.default, bool) else option.default
    return f"{option.name}={option.kind}", "" if default is None else f"default: {default}"


def complete_program_options(workload: Workload, parameters: Mapping[str, object], incomplete: str) -> list[str]:
    """Return the options of the program that begin like this."""
    options = workload.program_options
    if not options or not options.load or not options.chosen_by:
        return []
    option_names = options.load().complete_options(parameters, workload.managed_options)
    return [f"{name}=" for name in option_names if name.startswith(incomplete)]


def _hide_secrets(arguments: Sequence[Value]) -> tuple[Value, ...]:
    hidden_texts = hide_secret_arguments([str(argument.value) for argument in arguments])
    return tuple(
        argument._replace(value=argument_text) for argument, argument_text in zip(arguments, hidden_texts, strict=True)
    )


def drop_options(arguments: Sequence[Value], names: Container[str], workload: Workload) -> tuple[str, ...]:
    """Return the arguments without some options and their values."""
    options = (option for option in split_options(arguments, workload) if option.name not in names)
    return tuple(str(argument.value) for option in options for argument in option.arguments)


def list_argument_rows(arguments: Iterable[Value], workload: Workload) -> Iterator[tuple[Value, dict[str, str]]]:
    """Yield the arguments in order; the first of each option with its name as `option`, empty for one of none."""
    for option in split_options(arguments, workload):
        for index, argument in enumerate(option.arguments):
            yield argument, {} if index else {"option": option.name}


def split_options(arguments: Iterable[Value], workload: Workload) -> Iterator[TrainerOption]:
    """Yield the options; an argument without a name is the value of the option before it, unless that has one or takes
    none.
    """
    option: TrainerOption | None = None
    for argument in arguments:
        name = workload.get_option_name(str(argument.value))
        has_value = option and ("=" in str(option.arguments[0].value) or not workload.takes_value(option.name))
        if option and not name and not has_value:
            option = TrainerOption(option.name, (*option.arguments, argument))
            continue
        if option:
            yield option
        option = TrainerOption(name, (argument,))
    if option:
        yield option


OPTION = re.compile(r"--?[A-Za-z][\w.-]*|[+~]{0,2}[A-Za-z_][\w.@/-]*(?==)")
"""How a word of a command begins that names an option: `--lr`, or Hydra's `optimizer.lr=1e-4`."""
PARAMETER = re.compile(r"\{([A-Za-z_]\w*)\}")


def complete_command(request: Request, workload: Workload) -> Request:
    """Return the request with the whole command after `--`, where only options of it were typed there.

    An option takes the place of its namesake with as many words in the command that a weaker layer has, else it is
    added at the end. Where the command has a parameter as its value, as in `--lr {lr}`, it sets that.
    """
    command = next((layer.arguments for layer in request.layers if layer.arguments), ())
    typed_options = _split_options(request.after_dashes)
    if not workload.own_command or typed_options[0] or len(typed_options) == 1 or len(command) < 2:  # of a shell
        return request
    options = _split_options(command)
    replaced_indexes = set[int]()
    parameter_names = {key for layer in request.layers for key in layer.values}
    values = dict(request.line.values)
    for typed_option in typed_options[1:]:
        namesakes = (index for index, option in enumerate(options) if _is_namesake(option, typed_option))
        indexes = [index for index in namesakes if index not in replaced_indexes]
        match = PARAMETER.fullmatch(str(options[indexes[0]][-1].value)) if indexes else None
        keys = [f"{table}.{match[1]}" for table in ("params", "parameters")] if match else []
        key = next((key for key in keys if key in parameter_names), "")
        if key:
            values[key] = typed_option[-1]
        elif indexes:
            options[indexes[0]] = typed_option
            replaced_indexes.add(indexes[0])
        else:
            replaced_indexes.add(len(options))  # one that is typed twice is there twice
            options.append(typed_option)
    words = tuple(word for option in options for word in option)
    return replace(request, line=request.line._replace(values=values), after_dashes=words)


def _split_options(words: Sequence[Value]) -> list[list[Value]]:
    """Return the words before the first option, then each option with the words behind it up to the next."""
    options: list[list[Value]] = [[]]
    for word in words:
        if OPTION.match(str(word.value)):
            options.append([])
        options[-1].append(word)
    return options


def _is_namesake(option: Sequence[Value], other: Sequence[Value]) -> bool:
    """Return whether two options have the same name and as many words."""
    names = [OPTION.match(str(words[0].value)) if words else None for words in (option, other)]
    is_same = names[0] is not None and names[1] is not None and names[0][0] == names[1][0]
    return is_same and len(option) == len(other)
