"""The number format of a training: `--mixed-precision`, as what is trained takes it. Standard library only.

LeRobot lets Accelerate compute in the format of a type's own option `dtype`, and asks no variable then. A type without
it does as its option `use_amp` says, and only if that is off as the variable says that robotrain sets.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot.trained_model import TrainedModel, choose_model

DTYPE, AMP = "dtype", "use_amp"
DTYPES = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""LeRobot's names of number formats, by robotrain's."""


def make_precision_options(
    parameters: Mapping[str, Any], options: Sequence[str], settings: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the option that decides over the number format, if the job names one.

    `settings`: the configuration of what the training starts from.
    """
    precision, model = parameters["mixed_precision"], choose_model(parameters, settings)
    if precision is None:
        return
    if model.facts.dtypes:
        if get_option_value(options, f"--{model.prefix}.{DTYPE}") is None:
            yield model.format_option(DTYPE, DTYPES[precision])
    elif AMP in model.options and settings.get(AMP, model.get_default(AMP)):
        yield model.format_option(AMP, "false")  # PyTorch would choose the format


def find_precision_problems(
    parameters: Mapping[str, Any], options: Sequence[str], model: TrainedModel
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield a sentence with remedies for a number format that what is trained does not take, or two formats."""
    precision, formats = parameters["mixed_precision"], model.facts.dtypes
    if precision is None or not formats:
        return
    option = f"--{model.prefix}.{DTYPE}"
    given, wanted = get_option_value(options, option), DTYPES[precision]
    if given is not None and given != wanted:
        title = f"--mixed-precision {precision} and {option}={given} contradict each other"
        yield title, (f"-- {option}={wanted}", f"leave out {option}, which --mixed-precision gives")
    elif wanted not in formats:
        ways = [f"--mixed-precision {name}" for name, dtype in DTYPES.items() if dtype in formats]
        title = f"LeRobot {model.lerobot.name}'s {model.kind} does not compute in {wanted}"
        yield title, tuple(ways)
