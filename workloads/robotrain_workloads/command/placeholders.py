"""Placeholders `{name}` in a command: which there are, and their values. Imports nothing of core: jobs carry it.

Only `{identifier}` is one. `{{identifier}}` is the text `{identifier}`; JSON, `${…}` and regular expressions stay as
they are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

PLACEHOLDER = re.compile(r"\{\{(?P<escaped>[A-Za-z_]\w*)\}\}|(?<!\$)\{(?P<name>[A-Za-z_]\w*)\}", re.ASCII)
DATASET, DATASETS, POLICY, RESUME = "dataset", "datasets", "policy", "resume"
OUTPUTS, RUN, NUM_GPUS, SEED = "outputs", "run", "num_gpus", "seed"
NUM_NODES, NODE_RANK, MASTER_ADDR, MASTER_PORT = "num_nodes", "node_rank", "master_addr", "master_port"
NAMES = (
    *(DATASET, DATASETS, POLICY, RESUME, OUTPUTS, RUN, NUM_GPUS, SEED),
    *(NUM_NODES, NODE_RANK, MASTER_ADDR, MASTER_PORT),
)
"""Those that every job has, beside its own parameters."""
OWN_VARIABLE = "ROBOTRAIN_PARAM_"
"""What the environment variables of a job's own parameters begin with: `ROBOTRAIN_PARAM_lr`."""

Value = str | Sequence[str]
"""Of a placeholder: a text, or the texts that each are an argument of their own."""


def list_names(arguments: Iterable[str]) -> list[str]:
    """Return the names of the placeholders in arguments, each once, in their order."""
    placeholder_names = (match["name"] for argument in arguments for match in PLACEHOLDER.finditer(argument))
    return list(dict.fromkeys(name for name in placeholder_names if name))


def fill_arguments(arguments: Iterable[str], placeholder_values: Mapping[str, Value]) -> Iterator[str]:
    """Yield the arguments with the values in place of the placeholders; a value is never read for placeholders.

    Raises:
        KeyError: a placeholder has no value.
        ValueError: one of several texts is only a part of an argument.
    """
    for argument in arguments:
        match = PLACEHOLDER.fullmatch(argument)
        if match and match["name"] and not isinstance(several_values := placeholder_values[match["name"]], str):
            yield from several_values
        else:
            yield PLACEHOLDER.sub(lambda match: _get_text(match, placeholder_values), argument)


def fill_known(argument: str, values: Mapping[str, str]) -> str:
    """Return an argument with the values that are known in place of their placeholders."""
    return PLACEHOLDER.sub(lambda match: values.get(match["name"], match[0]), argument)


def _get_text(match: re.Match[str], values: Mapping[str, Value]) -> str:
    if match["escaped"]:
        return f"{{{match['escaped']}}}"
    value = values[match["name"]]
    if not isinstance(value, str):
        raise ValueError(f"{match[0]} must be an argument of its own")
    return value


def make_variables(values: Mapping[str, Value], own_names: Iterable[str]) -> dict[str, str]:
    """Return the environment variables of the values: `ROBOTRAIN_DATASET`; several texts are a line each.

    :param own_names: the names of the job's own parameters.
    """
    variables_by_name = {
        **{name: f"ROBOTRAIN_{name.upper()}" for name in values},
        **{name: f"{OWN_VARIABLE}{name}" for name in own_names},
    }
    return {
        variables_by_name[name]: value if isinstance(value, str) else "\n".join(value) for name, value in values.items()
    }
