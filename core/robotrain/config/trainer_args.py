"""Arguments of the trainer: options after `--`, merged by their names with those of the job file."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
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
