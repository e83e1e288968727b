"""The number format of a training: `--mixed-precision`, as what is trained takes it. Standard library only.

LeRobot lets Accelerate compute in the format of a type's own option `dtype`, and asks no variable then. A type without
it does as its option `use_amp` says, and only if that is off as the variable says that robotrain sets.
"""

from collections.abc import Iterator

from robotrain_workloads.lerobot.job import LerobotJob

DTYPE, AMP = "dtype", "use_amp"
DTYPES = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""LeRobot's names of number formats, by robotrain's."""


def make_options(job: LerobotJob) -> Iterator[str]:
    """Yield the option that decides over the number format, if the job names one."""
    precision, model = job.parameters["mixed_precision"], job.model
    if precision is None:
        return
    if model.facts.dtypes:
        if job.options.get(model.format_flag(DTYPE)) is None:
            yield model.format_option(DTYPE, DTYPES[precision])
    elif AMP in model.options and job.start.settings.get(AMP, model.defaults.get(AMP)):
        yield model.format_option(AMP, "false")  # PyTorch would choose the format


def find_problems(job: LerobotJob) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield a sentence with remedies for a number format that what is trained does not take, or two formats."""
    if (precision := job.parameters["mixed_precision"]) is None:
        return
    model = job.known_model
    if model is None or not (formats := model.facts.dtypes):
        return
    option, wanted_dtype = model.format_flag(DTYPE), DTYPES[precision]
    setting = job.options.get(option)
    if setting is not None and setting != wanted_dtype:
        title = f"--mixed-precision {precision} and {option}={setting} contradict each other"
        yield title, (f"-- {option}={wanted_dtype}", f"leave out {option}, which --mixed-precision gives")
    elif wanted_dtype not in formats:
        ways = [f"--mixed-precision {name}" for name, dtype in DTYPES.items() if dtype in formats]
        title = f"LeRobot {model.lerobot.name}'s {model.kind} does not compute in {wanted_dtype}"
        yield title, tuple(ways)
