"""`--num-workers auto`: how fast different numbers of processes load the data of a training, before its first step.

The number changes no sample of a training without random image transforms. A training that is resumed, and a run that
is submitted again on its platform, keep it.
"""

import importlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from robotrain_runtime.contract.event import Note, Track, emit_event

from robotrain_workloads.lerobot.device import is_first_rank
from robotrain_workloads.lerobot_train.random_draws import MEASURED, RandomDraws
from robotrain_workloads.lerobot_train.wrapped_attribute import wrap_attribute
from robotrain_workloads.nodes.rank_store import RankStore

MAKE_DATASETS = "make_train_eval_datasets"
SECONDS = 20.0
"""For all numbers together."""
MOST_BATCHES = 40
"""Of one number, without those that its processes prepare at first."""
NOTABLE = 1.05
"""How much faster more processes have to be."""
STORE_NAME = "workers"


class LoaderChoice:
    """The number of processes that load data, chosen when the dataset is there.

    :param usual: the number that is taken without a measurement.
    :param most: that the machine can have.
    :param ranks: the processes that train together: the first one measures.
    :param draws: those of a training with the chosen number, as if the user had typed it.
    """

    def __init__(self, usual: int, most: int, ranks: int, draws: RandomDraws) -> None:
        self._usual, self._most, self._ranks, self._draws = usual, most, ranks, draws

    def install(self, trainer: ModuleType) -> None:
        """Wrap what makes the datasets: the trainer reads the number after it."""
        wrap_attribute(trainer, MAKE_DATASETS, self._choose)

    def _choose(self, original: Callable[..., Any], config: Any) -> Any:
        datasets = original(config)
        if self._ranks == 1 or is_first_rank():
            config.num_workers = self._measure(datasets[0], config)
            if self._ranks > 1:
                RankStore().announce(STORE_NAME, str(config.num_workers))
        else:
            config.num_workers = int(RankStore().wait(STORE_NAME))
        self._draws.loads_alone = config.num_workers == 0
        return datasets

    def _measure(self, data: Any, config: Any) -> int:
        """Return the number for a dataset, and tell how fast each was."""
        rates = measure_rates(data, config, list_counts(self._usual, self._most))
        videos: Any = importlib.import_module("lerobot.datasets.video_utils")
        videos._default_decoder_cache.clear()  # loading processes that are forked would share its open files
        chosen_count = choose_count(rates)
        rates_text = ", ".join(f"{count}: {rate:.0f}" for count, rate in rates.items())
        note_text = (
            f"data is loaded by {chosen_count or 'no'} processes; samples per second with each number: {rates_text}"
        )
        ways: tuple[tuple[str, ...], ...] = ()
        if config.dataset.image_transforms.enable:
            note_text += (
                "; random image transforms depend on it: resume and resubmit keep it, a new submit measures again"
            )
            ways = ((f"--num-workers {chosen_count}",),)
        emit_event(Note(level="info", text=note_text, ways=ways))
        emit_event(Track(params={"num_workers": chosen_count}))
        return chosen_count


def list_counts(usual_count: int, most_processes: int) -> list[int]:
    """Return the numbers of processes that are tried, the smallest first: the usual one, and powers of two.

    The training process itself (0) is tried where that is usual.
    """
    powers = [2**power for power in range(1, 8)]
    return sorted({usual_count, *(count for count in (*powers, most_processes) if count <= most_processes)})


def choose_count(rates: Mapping[int, float]) -> int:
    """Return the smallest number that is about as fast as the fastest.

    :param rates: samples per second by number.
    """
    return min(count for count, rate in rates.items() if rate * NOTABLE >= max(rates.values()))


def measure_rates(data: Any, config: Any, counts: Sequence[int], seconds: float = SECONDS) -> dict[int, float]:
    """Return the samples per second of the first numbers, until more are no faster or the time is over.

    Random numbers of the training stay as they are.

    :param data: a dataset of samples by index.
    :param config: the trainer's, with the size of a batch.
    """
    rates: dict[int, float] = {}
    deadline = time.monotonic() + seconds
    with _keep_random_state():
        for index, count in enumerate(counts):
            remaining_seconds = deadline - time.monotonic()
            if remaining_seconds <= 0 and rates:
                break
            rate = _measure_rate(data, config, count, index, remaining_seconds / (len(counts) - index))
            is_slower = bool(rates) and rate < max(rates.values())
            rates[count] = rate
            if is_slower:
                break
    return rates


def _measure_rate(data: Any, config: Any, count: int, seed: int, seconds: float) -> float:
    torch = importlib.import_module("torch")
    generator = torch.Generator().manual_seed(seed)
    prefetch = config.prefetch_factor if count else None
    warm_up_batches = max(1, count)  # its processes begin with them
    samples = torch.randint(
        len(data), ((warm_up_batches + MOST_BATCHES) * config.batch_size,), generator=generator
    ).tolist()
    collate = importlib.import_module("lerobot.utils.collate").lerobot_collate_fn if _has_language(data) else None
    loader = torch.utils.data.DataLoader(
        data,
        batch_size=config.batch_size,
        sampler=samples,
        num_workers=count,
        prefetch_factor=prefetch,
        collate_fn=collate,
        generator=generator,
        multiprocessing_context=config.dataloader_multiprocessing_context if count else None,
    )
    setattr(loader, MEASURED, True)
    start_time = time.monotonic()
    count_start, batches = start_time, 0
    for number, _ in enumerate(loader, 1):
        now = time.monotonic()
        if number <= warm_up_batches:
            count_start = now
        else:
            batches = number - warm_up_batches
        if now - start_time > seconds:
            break
    elapsed_seconds = time.monotonic() - count_start
    if not batches:  # not one after those that were prepared at first: all count
        batches, elapsed_seconds = number, time.monotonic() - start_time
    return float(batches * config.batch_size / max(elapsed_seconds, 1e-6))


def _has_language(data: Any) -> bool:
    return bool(getattr(data.meta, "has_language_columns", False))


@contextmanager
def _keep_random_state() -> Iterator[None]:
    """Set the random numbers of this process back after the block."""
    torch, numpy = importlib.import_module("torch"), importlib.import_module("numpy")
    states = torch.get_rng_state(), numpy.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        numpy.random.set_state(states[1])
        random.setstate(states[2])


def read_chosen_count(train_config: Path) -> int | None:
    """Return the number that the training of a checkpoint had; None if it does not tell."""
    with suppress(OSError, ValueError, TypeError, LookupError):
        return int(json.loads(train_config.read_text(encoding="utf-8"))["num_workers"])
    return None
