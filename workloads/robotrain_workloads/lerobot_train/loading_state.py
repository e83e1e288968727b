"""The random numbers of a training and of loading its data: saved with a checkpoint and continued after a resume.

Random image transforms draw where a sample is loaded: in a loading process, whose numbers LeRobot does not save, or in
the training's own, which loads a batch before the step ahead of it is saved.
"""

import functools
import json
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.lerobot.device import is_first_rank
from robotrain_workloads.lerobot_train.wrapped_attribute import wrap_attribute

SAMPLER = "EpisodeAwareSampler"
STATE_FILE = Path("training_state", "robotrain_loading.json")
"""In a checkpoint."""
MOST_AHEAD = 8
"""More batches than are loaded before the step that trains on the first of them."""
DIFFERS = "random image transforms differ from those of an uncut training"


@dataclass
class LoadingDraws:
    """What was drawn up to the last batch that was trained on."""

    workers: int
    """The processes that load; 0 for the training's own."""
    next_worker: int = 0
    """The one that loads the next batch."""
    seed: int | None = None
    """Of the processes that have loaded nothing yet."""
    states: dict[str, str] = field(default_factory=dict)
    """PyTorch's state in hexadecimal: of each process by its number after its last batch; of the training's own as "0"
    before the next batch, if it has loaded that already.
    """


class LoadedBatch(NamedTuple):
    """A batch that may not have been trained on yet, or the end of an epoch."""

    number: int
    """In the training."""
    worker: int
    """That loaded it; -1 for the end of an epoch."""
    state: bytes


@dataclass(frozen=True)
class StateCollator:
    """Makes a batch in a loading process, and adds the process and its random state."""

    collate: Callable[[Any], Any]

    def __call__(self, samples: Any) -> Any:
        """Return the batch, the number of the process and its state."""
        from torch.utils.data import get_worker_info

        return self.collate(samples), get_worker_info().id, _read_state()


@dataclass(frozen=True)
class WorkerStart:
    """Begins a loading process with the random numbers that the one before the cut had."""

    draws: LoadingDraws
    initialize: Callable[[int], Any] | None

    def __call__(self, worker: int) -> None:
        """Set the random state of this process."""
        if state := self.draws.states.get(str(worker)):
            _set_state(bytes.fromhex(state))
        elif self.draws.seed is not None:
            import torch

            torch.manual_seed(self.draws.seed + worker)
        if self.initialize is not None:
            self.initialize(worker)


class LoadingState:
    """Follows the loader of a training that has random image transforms.

    :param first: the step that the training continues from.
    :param checkpoint: what it continues from; None for a new training.
    """

    def __init__(self, first: int, checkpoint: Path | None) -> None:
        self._count, self._checkpoint = first, checkpoint
        self._transforms = False
        self._loader: Any = None
        self._draws = LoadingDraws(workers=0)
        self._ahead = deque[LoadedBatch]()
        self._own_state = b""
        """Of the training's own process, to load the first batch with."""

    def install(self, trainer: ModuleType) -> None:
        """Wrap what the trainer calls."""
        from torch.utils.data import DataLoader

        wrap_attribute(trainer.TrainPipelineConfig, "validate", self._read_configuration)
        wrap_attribute(DataLoader, "_get_iterator", self._begin_to_read)
        wrap_attribute(trainer, "update_last_checkpoint", self._save)

    def _read_configuration(self, original: Callable[..., Any], config: Any) -> None:
        original(config)
        self._transforms = config.dataset.image_transforms.enable and not config.dataset.streaming

    def _begin_to_read(self, original: Callable[..., Any], loader: Any) -> Any:
        if not self._transforms or self._loader not in (None, loader):
            return original(loader)  # the training's is the first
        if self._loader is None:
            self._loader = loader
            iterator = self._begin_training(original, loader)
        else:
            self._settle(self._count)
            iterator = original(loader)
            self._draws.seed = iterator._base_seed
        reference = weakref.ref(iterator)  # one that holds itself would stop its processes late
        iterator._next_data = functools.partial(self._load, type(iterator)._next_data, reference)
        return iterator

    def _begin_training(self, original: Callable[..., Any], loader: Any) -> Any:
        """Return the first iterator, which continues with the draws of the checkpoint."""
        saved = self._load_draws(loader.num_workers)
        self._draws = saved or LoadingDraws(workers=loader.num_workers)
        if not loader.num_workers:
            self._own_state = bytes.fromhex(self._draws.states.get("0", ""))
            return original(loader)
        loader.collate_fn = StateCollator(loader.collate_fn)
        if saved is None:
            iterator = original(loader)
        else:
            initialize = loader.worker_init_fn
            loader.worker_init_fn = WorkerStart(saved, initialize)
            with _begin_with(saved.next_worker):
                iterator = original(loader)
            loader.worker_init_fn = initialize
        if self._draws.seed is None:
            self._draws.seed = iterator._base_seed
        return iterator

    def _load_draws(self, workers: int) -> LoadingDraws | None:
        """Return the draws of the checkpoint, for as many loading processes; tell what is lacking."""
        if self._checkpoint is None:
            return None
        draws = load_draws(self._checkpoint)
        if draws is not None and draws.workers == workers:
            return draws
        if is_first_rank():
            emit_event(describe_difference(draws, workers))
        return None

    def _load(self, original: Callable[[Any], Any], reference: Callable[[], Any]) -> Any:
        """Load a batch, and remember the random state."""
        before = _read_state() if not self._draws.workers else b""
        batch_state = self._own_state or before
        if self._own_state:
            _set_state(self._own_state)
        try:
            batch = original(reference())
        except StopIteration:
            self._ahead.append(LoadedBatch(self._count, -1, b""))
            raise
        worker = 0
        if self._draws.workers:
            batch, worker, batch_state = batch
        elif self._own_state:
            _set_state(before)
            self._own_state = b""
        self._count += 1
        self._ahead.append(LoadedBatch(self._count, worker, batch_state))
        self._settle(self._count - MOST_AHEAD)
        return batch

    def _settle(self, step: int) -> None:
        """Take over what was loaded for the steps up to one."""
        draws = self._draws
        while self._ahead and self._ahead[0].number <= step:
            batch = self._ahead.popleft()
            if not draws.workers:
                continue
            if batch.worker >= 0:
                draws.states[str(batch.worker)] = batch.state.hex()
                draws.next_worker = (batch.worker + 1) % draws.workers
                continue
            draws.next_worker = 0
            if not self._loader.persistent_workers:  # others begin the next epoch, with a seed that is drawn then
                draws.states.clear()
                draws.seed = None

    def _save(self, original: Callable[..., Any], folder: Path, *args: Any, **kwargs: Any) -> Any:
        """Write what was drawn into a checkpoint before LeRobot calls it the last. Raise OSError."""
        if self._loader is not None:
            self._settle(int(folder.name))
            if not self._draws.workers:
                self._draws.states = {"0": self._ahead[0].state.hex()} if self._ahead else {}
            (folder / STATE_FILE).write_text(json.dumps(asdict(self._draws)) + "\n", encoding="utf-8")
        return original(folder, *args, **kwargs)


def load_draws(checkpoint: Path) -> LoadingDraws | None:
    """Return what the training of a checkpoint had drawn; None if it does not tell."""
    with suppress(OSError, ValueError, TypeError):
        return LoadingDraws(**json.loads((checkpoint / STATE_FILE).read_text("utf-8")))
    return None


def describe_difference(draws: LoadingDraws | None, workers: int) -> Note:
    """Return the note of a resume that draws other numbers: with these processes, or no draws of the checkpoint."""
    if draws is None:
        return Note(level="warning", text=f"{DIFFERS}: the checkpoint does not say what they had drawn")
    verb = "loads" if workers == 1 else "load"
    text = f"{DIFFERS}: {_describe_count(workers)} {verb} data, and {_describe_count(draws.workers)} did before"
    return Note(level="warning", text=text, ways=((f"--num-workers {draws.workers}",),))


def _describe_count(workers: int) -> str:
    return f"{workers or 'no'} process{'' if workers == 1 else 'es'}"


@contextmanager
def _begin_with(worker: int) -> Iterator[None]:
    """Let the iterator that is made in the block give its first batch to this process."""
    from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter as iterators

    put = iterators._try_put_index

    def put_first(iterator: Any) -> None:
        iterators._try_put_index = put
        for _ in range(worker):
            next(iterator._worker_queue_idx_cycle)
        put(iterator)

    iterators._try_put_index = put_first
    try:
        yield
    finally:
        iterators._try_put_index = put


def _read_state() -> bytes:
    import torch

    return bytes(torch.get_rng_state().numpy().tobytes())


def _set_state(state: bytes) -> None:
    import torch

    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


class RandomDraws:
    """Undoes what loaders draw, where an uncut training of LeRobot's would not draw."""

    def __init__(self, first: int, *, loads_alone: bool) -> None:
        """`first`: the step that the training continues from. `loads_alone`: no process beside it is wanted.

        Where robotrain chose none for the machine, LeRobot would have some.
        """
        self._first, self._loads_alone = first, loads_alone
        self._is_in_epoch = False
        """Whether the training continues within an epoch."""
        self._stays, self._eval_steps = False, 0
        self._begun: list[Any] = []
        """The loaders that have begun to read; the first is that of the training."""

    def install(self, trainer: ModuleType) -> None:
        """Wrap what the trainer calls."""
        from torch.utils.data import DataLoader

        if (sampler := getattr(trainer, SAMPLER, None)) is not None:
            sampler.set_epoch = _keep_epoch
            wrap_attribute(sampler, "load_state_dict", self._remember_place)
        wrap_attribute(trainer.TrainPipelineConfig, "validate", self._read_configuration)
        wrap_attribute(DataLoader, "_get_iterator", self._begin_to_read)

    def _remember_place(self, original: Callable[..., Any], sampler: Any, state: dict[str, Any]) -> None:
        original(sampler, state)
        self._is_in_epoch = state["start_index"] > 0

    def _read_configuration(self, original: Callable[..., Any], config: Any) -> None:
        original(config)
        self._stays, self._eval_steps = bool(config.persistent_workers), config.eval_steps

    def _begin_to_read(self, original: Callable[..., Any], loader: Any) -> Any:
        import torch

        random_state = torch.get_rng_state()
        iterator = original(loader)
        if not self._would_draw(loader):
            torch.set_rng_state(random_state)
        return iterator

    def _would_draw(self, loader: Any) -> bool:
        has_same_loaders = self._stays and (loader.num_workers > 0 or not self._loads_alone)
        if any(loader is begun_loader for begun_loader in self._begun):
            return not has_same_loaders
        self._begun.append(loader)
        if not self._first:
            return True
        if len(self._begun) == 1:  # the training's: it began before the cut
            return not (has_same_loaders or self._is_in_epoch)
        return not (has_same_loaders and 0 < self._eval_steps <= self._first)


def _keep_epoch(sampler: object, epoch: int) -> None:
    """Let a training that resumes read its data in the order that it would have had without the interruption.

    LeRobot's sampler goes on at the right epoch and counts epochs by itself; accelerate counts those of this process,
    and would set the sampler back to the first one.
    """
