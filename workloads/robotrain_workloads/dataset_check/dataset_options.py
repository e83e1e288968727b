"""Options after `--` that say which episodes are read, compared with the descriptions of the datasets.

LeRobot would refuse them on the machine of the job, once the data is there.
"""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from robotrain_runtime.contract.problem import Problems, make_data_problem, suggest_leaving_out

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.dataset_shares import MIXTURE
from robotrain_workloads.lerobot.episode_numbers import EXCLUDE_FLAG, EXCLUDED, leave_out
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, is_true, read_value
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot.start import SPLIT_KEY

EPISODES, TOLERANCE, STREAMING = "--dataset.episodes", "--tolerance_s", "--dataset.streaming"
EPISODES_KIND = {"any of": [{"each": "int"}, "null"]}
"""The type of `--dataset.episodes`, as `options.json` has it."""
NO_LOADER = f"{STREAMING}=true reads nothing without a process that loads data"


class RecordedEpisodes(NamedTuple):
    """The episodes of a job's datasets, which are numbered through in the order of the datasets."""

    names: Sequence[str]
    counts: Sequence[int]

    @property
    def total(self) -> int:
        """The episodes of all."""
        return sum(self.counts)


def find_problems(job: LerobotJob) -> Problems:
    """Yield one sentence for each reason why the episodes that are chosen cannot be read."""
    if is_streamed(job):
        if job.parameters[EXCLUDED]:
            yield make_data_problem(
                f"{EXCLUDE_FLAG} has no effect with {STREAMING}=true: LeRobot streams all episodes",
                suggest_leaving_out(STREAMING),
            )
        if job.parameters["num_workers"] == 0:
            yield make_data_problem(NO_LOADER, "--num-workers 1")
        return
    try:
        chosen = parse_episodes(job.options.get(EPISODES) or "null")
        recorded = count_recorded(job)
        if chosen is not None and recorded:
            _require_existing(chosen, recorded)
        if recorded:
            yield from _find_mixture_problems(job, recorded, {*list_trained(job, recorded.total)})
    except ValueError as error:
        yield str(error)


def _require_existing(chosen: Sequence[int], recorded: RecordedEpisodes) -> None:
    """Raise ValueError if episodes are chosen that do not exist, none, or one twice."""
    existing = f"the data has {recorded.total} episodes, counted from 0"
    if missing := [number for number in chosen if not 0 <= number < recorded.total]:
        raise ValueError(f"{EPISODES} names episode {missing[0]}, and {existing}")
    if not chosen or len({*chosen}) < len(chosen):
        raise ValueError(f"{EPISODES} takes at least one episode, and each once: {existing}")


def _find_mixture_problems(job: LerobotJob, recorded: RecordedEpisodes, trained: set[int]) -> Iterator[str]:
    """Yield each dataset of a mixture of which no episode is trained on."""
    first = 0
    for name, count in zip(recorded.names, recorded.counts, strict=True) if job.parameters.get(MIXTURE) else ():
        if trained.isdisjoint(range(first, first + count)):
            yield f"no episode of {name} is trained on: its episodes are {first} to {first + count - 1}"
        first += count


def is_streamed(job: LerobotJob) -> bool:
    """Return whether training streams the data: LeRobot does so only when no episodes are held out."""
    is_split = job.parameters["val_split"] and job.parameters["eval_freq"] != 0
    return job.option_values.get(STREAMING) is True and not is_split


def is_streamed_by(options: Sequence[str]) -> bool:
    """Return the same of the options of LeRobot's command line."""
    holds_out = float(get_option_value(options, f"--dataset.{SPLIT_KEY}") or 0) > 0
    return is_true(get_option_value(options, STREAMING)) and not holds_out


def count_recorded(job: LerobotJob) -> RecordedEpisodes | None:
    """Return the episodes of the job's datasets; None unless all are described."""
    sources = [source for source in job.sources if source.role == "dataset"]
    if len(sources) != len(job.datasets):
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        if sources and (job.folders[sources[0]] / dataset.SIZES_FILE).is_file():  # they are merged already
            sources = sources[:1]
        counts = [int(dataset.load_dataset_info(job.folders[source])["total_episodes"]) for source in sources]
        return RecordedEpisodes([source.uri for source in sources], counts)
    return None


def list_trained(job: LerobotJob, total: int) -> list[int]:
    """Return the episodes that are trained on, of so many in the datasets. Raise ValueError with a sentence."""
    return leave_out(job.parameters[EXCLUDED], total, parse_episodes(job.options.get(EPISODES) or "null"))


def parse_episodes(text: str) -> list[int] | None:
    """Return the numbers of `--dataset.episodes`; None for all, and for what only LeRobot can read.

    Raise ValueError with a sentence.
    """
    with suppress(RefusedValue):
        numbers: list[int | None] | None
        try:
            numbers = read_value(text, EPISODES_KIND)
        except UnreadValue:
            return None
        if numbers is None or None not in numbers:  # LeRobot's parser takes an empty one
            return numbers  # type: ignore[return-value]
    raise ValueError(f"{EPISODES} takes a list of whole numbers such as [0,1,2], not {shlex.quote(text)}")
