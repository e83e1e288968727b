"""Rules between options after `--` and the configuration of the policy that a training starts from."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import start
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.trained_model import choose_model
from robotrain_workloads.lerobot_options import option_rules


def find_start_problems(
    document: JobDocument, described: Mapping[JobSource, Path], list_own: Callable[[start.Start], Iterable[str]]
) -> Iterator[str]:
    """Yield a sentence for each rule of LeRobot that is broken, with an option that mends it on the next line.

    :param list_own: what returns the options that robotrain gives LeRobot itself.
    """
    begin = start.Start()
    with suppress(OSError, ValueError):
        begin = start.load_start(described)
    model = choose_model(document.parameters, begin.settings)
    if begin.mode == "scratch" or begin.settings.get("type") != model.kind or not document.trainer_args:
        return
    for one in option_rules.find_problems(
        document.trainer_args,
        model,
        begin.settings,
        starts=True,
        loads=begin.mode != "checkpoint",
        own=lambda: dict(split_options([*list_own(begin)])),
    ):
        if one.level == "error":
            yield f"{one.title}. {one.why}" + (f"\n-- {one.suggestion}" if one.suggestion else "")
