"""LeRobot's options for the optimizer and the learning-rate schedule of a training. Standard library only."""

from collections.abc import Iterator

from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.trained_model import WARM_UP_OPTION, choose_learning_rate

OPTIMIZER, SCHEDULER = "optimizer", "scheduler"
DECAY, DECAY_STEPS = "optimizer_weight_decay", "scheduler_decay_steps"


def get_learning_rate(job: LerobotJob) -> float | None:
    """Return the learning rate of the job, else that of what it trains; None if LeRobot's code has it alone."""
    rate: float | None = job.parameters["learning_rate"]
    return rate if rate is not None else choose_learning_rate(job.model, job.start.settings)


def make_options(job: LerobotJob) -> Iterator[str]:
    """Yield the options of the schedule that the job asks for."""
    rate, steps = job.parameters["learning_rate"], job.parameters["lr_warmup_steps"]
    if f"--{OPTIMIZER}.type" in job.options and rate is not None:  # the policy's options do not count there
        yield f"--{OPTIMIZER}.lr={rate}"
    if f"--{SCHEDULER}.type" in job.options and steps is not None:
        yield f"--{SCHEDULER}.num_warmup_steps={steps}"
    if steps is not None:
        yield from _make_warm_up_options(job, steps)


def _make_warm_up_options(job: LerobotJob, steps: int) -> Iterator[str]:
    """Yield the number of warm-up steps; where LeRobot has no schedule, one beside the optimizer that it would use."""
    model, settings = job.model, job.start.settings
    if WARM_UP_OPTION in model.options or not model.is_known:
        yield model.format_option(WARM_UP_OPTION, steps)
        decay = settings.get(DECAY_STEPS, model.defaults.get(DECAY_STEPS))
        total = job.parameters["training_steps"]
        is_free = model.format_flag(DECAY_STEPS) not in job.options
        if is_free and isinstance(decay, int) and total < decay:
            yield model.format_option(DECAY_STEPS, total)  # else LeRobot shortens the warm-up as it does the decay
        return
    optimizer = dict(model.facts.optimizer)
    decay = job.option_values.get(model.format_flag(DECAY)) or settings.get(DECAY)
    yield "--use_policy_training_preset=false"
    if f"--{OPTIMIZER}.type" not in job.options:
        yield f"--{OPTIMIZER}.type={optimizer.pop('type')}"
        yield f"--{OPTIMIZER}.lr={get_learning_rate(job)}"
        for name, value in (optimizer | ({"weight_decay": decay} if decay is not None else {})).items():
            yield f"--{OPTIMIZER}.{name}={value}"
    if f"--{SCHEDULER}.type" not in job.options:
        yield f"--{SCHEDULER}.type=constant_with_warmup"
        yield f"--{SCHEDULER}.num_warmup_steps={steps}"
