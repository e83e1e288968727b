"""LeRobot's options for the optimizer and the learning-rate schedule of a training. Standard library only."""

from collections.abc import Iterator, Mapping, Sequence

from robotrain_runtime.contract.document import Scalar

from robotrain_workloads.lerobot.options import get_option_value, list_option_names
from robotrain_workloads.lerobot.start import Start
from robotrain_workloads.lerobot.trained_model import WARM_UP_OPTION, choose_learning_rate, choose_model

OPTIMIZER, SCHEDULER = "optimizer", "scheduler"
DECAY, DECAY_STEPS = "optimizer_weight_decay", "scheduler_decay_steps"


def get_learning_rate(parameters: Mapping[str, Scalar], start: Start) -> Scalar:
    """Return the learning rate of the job, else that of what it trains; None if LeRobot's code has it alone."""
    rate = parameters["learning_rate"]
    return rate if rate is not None else choose_learning_rate(choose_model(parameters, start.settings), start.settings)


def make_options(parameters: Mapping[str, Scalar], options: Sequence[str], start: Start) -> Iterator[str]:
    """Yield the options of the schedule that the job asks for."""
    yield from _make_chosen_training_options(parameters, options)
    if parameters["lr_warmup_steps"] is not None:
        yield from _make_warm_up_options(parameters, options, start)


def _make_chosen_training_options(values: Mapping[str, Scalar], options: Sequence[str]) -> Iterator[str]:
    """Yield what the job gives an optimizer and a schedule of the user's: the policy's options do not count there."""
    names, rate = list_option_names(options), values["learning_rate"]
    if f"--{OPTIMIZER}.type" in names and rate is not None:
        yield f"--{OPTIMIZER}.lr={rate}"
    if f"--{SCHEDULER}.type" in names and values["lr_warmup_steps"] is not None:
        yield f"--{SCHEDULER}.num_warmup_steps={values['lr_warmup_steps']}"


def _make_warm_up_options(parameters: Mapping[str, Scalar], options: Sequence[str], start: Start) -> Iterator[str]:
    """Yield the number of warm-up steps; where LeRobot has no schedule, one beside the optimizer that it would use."""
    model, steps = choose_model(parameters, start.settings), parameters["lr_warmup_steps"]
    if WARM_UP_OPTION in model.options or not model.is_known:
        yield model.format_option(WARM_UP_OPTION, steps)
        decay, total = start.settings.get(DECAY_STEPS, model.get_default(DECAY_STEPS)), parameters["training_steps"]
        is_free = f"--{model.prefix}.{DECAY_STEPS}" not in list_option_names(options)
        if is_free and isinstance(decay, int) and isinstance(total, int) and total < decay:
            yield model.format_option(DECAY_STEPS, total)  # else LeRobot shortens the warm-up as it does the decay
        return
    names, optimizer = list_option_names(options), dict(model.facts.optimizer)
    decay = get_option_value(options, f"--{model.prefix}.{DECAY}") or start.settings.get(DECAY)
    yield "--use_policy_training_preset=false"
    if f"--{OPTIMIZER}.type" not in names:
        yield f"--{OPTIMIZER}.type={optimizer.pop('type')}"
        yield f"--{OPTIMIZER}.lr={get_learning_rate(parameters, start)}"
        for name, value in (optimizer | ({"weight_decay": decay} if decay is not None else {})).items():
            yield f"--{OPTIMIZER}.{name}={value}"
    if f"--{SCHEDULER}.type" not in names:
        yield f"--{SCHEDULER}.type=constant_with_warmup"
        yield f"--{SCHEDULER}.num_warmup_steps={steps}"
