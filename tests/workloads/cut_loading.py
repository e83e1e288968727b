"""What a loader draws in a training that is cut after each step and resumed, beside an uncut one.

As the trainer of LeRobot and its accelerate: a batch is loaded before the step ahead of it, epochs follow each other,
and the training draws itself. Prints the cuts after which something else was drawn.
"""

import json
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from robotrain_workloads.lerobot_train import loading_state

SAMPLES, BATCH, STEPS = 14, 3, 12


class Noise(torch.utils.data.Dataset):
    """Samples with what is drawn to load them: more numbers for some."""

    def __len__(self):
        return SAMPLES

    def __getitem__(self, index):
        draws = torch.rand(1 + int(torch.randint(4, ())))
        return {"index": index, "draw": draws.sum()}


class Sampler:
    """As LeRobot's: the order of an epoch, and where it continues."""

    epoch = start = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def load_state_dict(self, state):
        self.epoch, self.start = state["epoch"], state["start_index"]

    def __iter__(self):
        start, self.start, self.epoch = self.start, 0, self.epoch + 1
        order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(self.epoch))
        return iter(order[start:].tolist())

    def __len__(self):
        return SAMPLES


class Config:
    """As that of LeRobot's trainer."""

    eval_steps = 0
    dataset = SimpleNamespace(image_transforms=SimpleNamespace(enable=True), streaming=False)

    def __init__(self, persistent):
        self.persistent_workers = persistent

    def validate(self):
        pass


def read_ahead(loader):
    """As accelerate does."""
    iterator = iter(loader)
    batch = next(iterator)
    for following in iterator:
        yield batch
        batch = following
    yield batch


def train(workers, persistent, folder, first=0, saves=False, follows=True):
    """Return what each step read and drew; write a checkpoint after each."""
    original = torch.utils.data.DataLoader._get_iterator
    trainer = ModuleType("trainer")
    trainer.TrainPipelineConfig = type("TrainPipelineConfig", (Config,), {})
    trainer.EpisodeAwareSampler = type("EpisodeAwareSampler", (Sampler,), {})
    trainer.update_last_checkpoint = lambda checkpoint: None
    checkpoint = folder / f"{first:06d}" if first else None
    if follows:
        loading_state.LoadingState(first, checkpoint).install(trainer)
    loading_state.RandomDraws(first, loads_alone=not workers).install(trainer)
    trainer.TrainPipelineConfig(persistent).validate()
    sampler = trainer.EpisodeAwareSampler()
    torch.manual_seed(7)
    if first:
        torch.set_rng_state(torch.load(checkpoint / "rng.pt"))
        epoch, start = divmod(first, -(-SAMPLES // BATCH))
        sampler.load_state_dict({"epoch": epoch, "start_index": start * BATCH})
    more = {"multiprocessing_context": "fork", "persistent_workers": persistent} if workers else {}
    loader = torch.utils.data.DataLoader(Noise(), batch_size=BATCH, sampler=sampler, num_workers=workers, **more)
    step, steps = first, []
    while step < STEPS:
        for batch in read_ahead(loader):
            steps.append([batch["index"].tolist(), batch["draw"].tolist(), torch.rand(()).item()])
            step += 1
            checkpoint = folder / f"{step:06d}"
            if saves:
                (checkpoint / loading_state.STATE_FILE).parent.mkdir(parents=True)
                torch.save(torch.get_rng_state(), checkpoint / "rng.pt")
                trainer.update_last_checkpoint(checkpoint)
            if step == STEPS:
                break
    torch.utils.data.DataLoader._get_iterator = original
    return steps


def find_differences(workers, persistent):
    """Yield the steps after which a resumed training is another one, and after which it is when it is resumed twice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uncut = train(workers, persistent, folder / "uncut", saves=True)
        for step in range(1, STEPS):
            if train(workers, persistent, folder / "uncut", step) != uncut[step:]:
                yield step
        if train(workers, persistent, folder / "uncut", 4, follows=False) == uncut[4:]:
            yield "nothing to follow"
        twice = folder / "uncut"
        for step in (4, 6):
            for later in range(step + 1, STEPS + 1):
                for file in sorted((twice / f"{later:06d}").rglob("*.*"), reverse=True):
                    file.unlink()
                (twice / f"{later:06d}/training_state").rmdir()
                (twice / f"{later:06d}").rmdir()
            train(workers, persistent, twice, step, saves=True)
        if train(workers, persistent, twice, 7) != uncut[7:]:
            yield "twice"


if __name__ == "__main__":
    kinds = [(0, True), (1, True), (2, True), (3, True), (2, False)]
    print(json.dumps([list(find_differences(*kind)) for kind in kinds]))
