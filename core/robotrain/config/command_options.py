"""Options of a user's own program after `--`: they change the command of a job file or of an earlier run."""

import re
from collections.abc import Sequence
from dataclasses import replace

from robotrain.config.request import Request
from robotrain.config.values import Value
from robotrain.model.workload import Workload

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
