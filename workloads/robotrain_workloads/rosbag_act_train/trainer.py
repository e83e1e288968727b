"""Train ACT on ROS 2 bags: `python -m robotrain_workloads.rosbag_act_train.trainer SETTINGS`, in the job's environment.

Settings are JSON, made by `container.work`. A stop (SIGTERM, SIGINT) saves a checkpoint; a resumed training goes on
with the same data order and random numbers. Several processes, started by `launcher`, each take a part of every step's
samples, and together do what one process would do with all of them.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import torch
from robotrain_runtime.contract.event import Checkpoint, Metrics, Note
from robotrain_runtime.contract.files import make_atomically
from robotrain_runtime.process.stop import SIGNALS, STOPPED_STATUS
from torch import Tensor

from robotrain_workloads.lerobot.device import choose_device, count_ranks
from robotrain_workloads.lerobot.policy import MODEL_FOLDER, STEP_FILE
from robotrain_workloads.lerobot_training import process_group, weights_file
from robotrain_workloads.rosbag.bag_files import BagError
from robotrain_workloads.rosbag.pictures import CACHE_FOLDER
from robotrain_workloads.rosbag_act_train import policy_start
from robotrain_workloads.rosbag_act_train.act.config import ActConfig, PolicyError
from robotrain_workloads.rosbag_act_train.act.model import NOISE, PADDED, Act, Loss
from robotrain_workloads.rosbag_act_train.act.policy_files import load_policy, save_policy
from robotrain_workloads.rosbag_act_train.model_setup import (
    fit_config,
    load_backbone,
    make_config,
    make_optimizer,
    make_statistics,
    take_step,
)
from robotrain_workloads.rosbag_act_train.ranks import RankGroup
from robotrain_workloads.rosbag_act_train.training_data import (
    BatchMaker,
    LoadedEpisode,
    Sampler,
    iterate_all,
    load_bags,
    make_settings,
    split_episodes,
)

STATE_FILE = STEP_FILE.parent / "optimizer.pt"
Arrays = Mapping[str, np.ndarray[Any, Any]]


class BatchPart(NamedTuple):
    """A part of a step's samples that is computed at once."""

    batch: Arrays
    action_share: float
    """Its share of the step's actions that are not padding."""
    sample_share: float
    """Its share of the step's samples."""


def share_loss(loss: Loss, part: BatchPart, kl_weight: float) -> Loss:
    """Return what a part adds to the loss of its step: the parts' sum is the loss of all samples at once."""
    l1 = loss.l1 * part.action_share
    if loss.kl is None:
        return Loss(l1, l1, None)
    kl = loss.kl * part.sample_share
    return Loss(l1 + kl_weight * kl, l1, kl)


def make_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of one process's random numbers in one step, so that a resumed training draws the same."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0])


def make_noise(seed: int, step: int, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Return the latent's noise for all samples of a step, whichever process and part they are in."""
    return np.random.default_rng((seed, step)).standard_normal(shape, np.float32)


def make_tensors(batch: Mapping[str, np.ndarray[Any, Any]], device: str) -> dict[str, Tensor]:
    """Return a batch as tensors; pictures become (batch, 3, height, width) in 0 to 1."""
    tensors = {}
    for name, array in batch.items():
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(device)
        tensors[name] = tensor.permute(0, 3, 1, 2).float() / 255 if array.dtype == np.uint8 else tensor
    return tensors


class ActTraining:
    """One training: its model, data and state."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.values: Mapping[str, Any] = settings["parameters"]
        self.weights: Sequence[tuple[str, str]] = settings.get("weights", ())
        self.folder = Path(settings["checkpoints"])
        self.device = choose_device(self.values["device"])
        self.group = RankGroup(self.device)
        self.total = int(self.values["training_steps"])
        self.step = 0
        self._stopped = False
        for number in SIGNALS:
            signal.signal(number, self._stop)
        resume = Path(settings["resume"]) if settings["resume"] else None
        begin = resume / MODEL_FOLDER if resume else Path(settings["policy"]) if settings["policy"] else None
        policy, saved_statistics = load_policy(begin) if begin else (None, None)
        if policy is not None:
            self.values = policy_start.adopt_sizes(self.values, policy.config)
        train, held_out = self._load_episodes(settings)
        torch.manual_seed(self.values["seed"])
        self.statistics = saved_statistics if resume and saved_statistics else make_statistics(train)
        self.model = self._make_model(make_config(self.values, train[0]), policy, str(begin)).to(self.device)
        self.optimizer = make_optimizer(
            self.model,
            lr=self.values["learning_rate"],
            lr_backbone=self.values["lr_backbone"],
            weight_decay=self.values["weight_decay"],
        )
        self.maker = BatchMaker(train, self.values["chunk_size"])
        self.validation = BatchMaker(held_out, self.values["chunk_size"]) if held_out else None
        self.samples = self.values["batch_size"] * self.values["accumulate"] * self.group.count
        self.sampler = Sampler(self.maker.steps, self.samples, self.values["seed"])
        if resume:
            self._load_state(resume)
        self._compute_loss = self.group.share_gradients(self.model, self.model.compute_loss)

    def run(self) -> int:
        """Train to the last step; return the exit code."""
        values, began = self.values, time.monotonic()
        losses: list[tuple[float, float, float, float]] = []
        self.group.emit(Metrics(values={}, step=self.step, total=self.total))
        for parts in self._iterate_parts():
            loss, stopped = self._train_step(parts)
            losses.append(loss)
            self.step += 1
            if not math.isfinite(loss[0]):
                self.group.print(f"error: the loss is {loss[0]} at step {self.step}: lower --learning-rate")
                self.group.close()
                return 1
            last = self.step == self.total
            if self.step % values["log_freq"] == 0 or last:
                self._report(losses, time.monotonic() - began)
                losses, began = [], time.monotonic()
            if self.step % values["save_freq"] == 0 or last or stopped:
                self._validate()
                self._save()
            if stopped:
                self.group.print(f"stopped at step {self.step}, and saved it")
                self.group.close()
                return STOPPED_STATUS
        self.group.close()
        return 0

    def _load_episodes(self, settings: Mapping[str, Any]) -> tuple[list[LoadedEpisode], list[LoadedEpisode]]:
        if not self.group.is_first:
            self.group.add([0.0])  # the first process decodes the pictures, the others find them in the cache
        loaded = load_bags(
            [Path(folder) for folder in settings["bags"]],
            make_settings(self.values),
            Path(settings["cache"]) / CACHE_FOLDER,
            chunk=self.values["chunk_size"],
            salvage=self.values["salvage"],
            workers=self.values["num_workers"],
            report=self.group.print,
        )
        if self.group.is_first:
            self.group.add([0.0])
        train, held_out = split_episodes(loaded.episodes, self.values["val_split"], self.values["seed"])
        steps = sum(episode.steps for episode in train)
        text = f"{len(train)} episodes to train on ({steps} steps), {len(held_out)} held out"
        if loaded.dropped:
            text += f", {loaded.dropped} pieces shorter than a chunk dropped"
        if self.values["val_split"] and not held_out:
            text += ": whole bags are, and there is only one"
        self.group.emit(Note(level="info", text=text))
        return train, held_out

    def _make_model(self, config: ActConfig, policy: Act | None, origin: str) -> Act:
        """Return the network, with the weights of the policy that the training starts from. Raise PolicyError."""
        if policy is not None:
            model = Act(fit_config(config, policy.config, origin))
            model.load_state_dict(policy.state_dict())
            return model
        model = Act(config)
        for file, name in self.weights:
            try:
                if name and (problem := weights_file.find_digest_problem(Path(file), name)):
                    raise PolicyError(problem)
                load_backbone(model.backbone, weights_file.read_weights(Path(file)), file)
            except (OSError, weights_file.WeightsError) as error:
                raise PolicyError(str(error)) from error
        return model

    def _iterate_parts(self) -> Iterator[list[BatchPart]]:
        """Yield this process's parts of each step; those of the next one are made meanwhile."""
        batch, parts = self.values["batch_size"], self.values["accumulate"]

        def make_parts(step: int) -> list[BatchPart]:
            chosen = self.sampler.choose(step)
            actions = self.maker.count_actions(chosen)
            noise = make_noise(self.values["seed"], step, (self.samples, self.values["latent_dim"]))
            made = []
            for start in range(self.group.rank * batch, self.samples, self.group.count * batch):
                own = chosen[start : start + batch]
                arrays = {**self.maker.make_batch(own), NOISE: noise[start : start + batch]}
                made.append(BatchPart(arrays, self.maker.count_actions(own) / actions, 1 / (parts * self.group.count)))
            return made

        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(make_parts, self.step)
            for step in range(self.step, self.total):
                made = following.result()
                following = pool.submit(make_parts, step + 1)
                yield made

    def _train_step(self, parts: Sequence[BatchPart]) -> tuple[tuple[float, float, float, float], bool]:
        """Return loss, L1 loss, divergence and gradient norm of a step, and whether any process is to stop."""
        self.model.train()
        torch.manual_seed(make_seed(self.values["seed"], self.step, self.group.rank))
        totals, norm = [0.0, 0.0, 0.0], 0.0
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            with self.group.keep_gradients(self._compute_loss, last):
                loss = share_loss(self._compute(self._compute_loss, part.batch), part, self.model.config.kl_weight)
                mean = loss.total * self.group.count  # of which the processes' gradients are averaged
                if last:
                    norm = take_step(self.model, self.optimizer, mean)
                else:
                    mean.backward()
            for slot, term in enumerate((loss.total, loss.l1, loss.kl)):
                totals[slot] += 0.0 if term is None else float(term.detach())
        total, l1, kl, stopped = self.group.add([*totals, float(self._stopped)])
        return (total, l1, kl, norm), stopped > 0

    def _compute(self, compute_loss: Callable[..., Loss], batch: Arrays) -> Loss:
        precision = self.values["mixed_precision"]
        autocast = torch.autocast(self.device, torch.bfloat16) if precision == "bf16" else nullcontext()
        with autocast:
            return compute_loss(self.statistics.normalize(make_tensors(batch, self.device)))

    def _validate(self) -> None:
        if self.validation is None:
            return
        self.model.eval()
        error, counted = 0.0, 0
        with torch.no_grad():
            for number, batch in enumerate(iterate_all(self.validation, self.values["batch_size"])):
                if number % self.group.count == self.group.rank:
                    actions = int((~batch[PADDED]).sum())
                    error += float(self._compute(self.model.compute_loss, batch).l1) * actions
                    counted += actions
        error, all_counted = self.group.add([error, counted])
        self.group.emit(Metrics(values={"val/loss": error / all_counted}, step=self.step, total=self.total))

    def _report(self, losses: list[tuple[float, float, float, float]], seconds: float) -> None:
        loss, l1, kl, norm = (float(number) for number in np.mean(losses, axis=0))
        values = {
            "train/loss": loss,
            "train/l1_loss": l1,
            "train/grad_norm": norm,
            "train/lr": self.optimizer.param_groups[0]["lr"],
            "train/samples_per_s": len(losses) * self.samples / max(seconds, 1e-9),
            **({"train/kld_loss": kl} if self.model.config.use_vae else {}),
        }
        self.group.emit(Metrics(values=values, step=self.step, total=self.total))

    def _save(self) -> None:
        target = self.folder / f"{self.step:06}"
        if target.exists() or not self.group.is_first:
            return
        with make_atomically(target, key="save") as scratch:
            (scratch / MODEL_FOLDER).mkdir(parents=True)
            (scratch / STEP_FILE).parent.mkdir()
            save_policy(scratch / MODEL_FOLDER, self.model, self.statistics, device=self.device)
            torch.save({"optimizer": self.optimizer.state_dict()}, scratch / STATE_FILE)
            facts = {"step": self.step, "samples": self.samples, "seed": self.values["seed"]}
            (scratch / STEP_FILE).write_text(json.dumps(facts) + "\n", encoding="utf-8")
        self.group.emit(Checkpoint(step=self.step, path=str(target.absolute()), model=MODEL_FOLDER))

    def _load_state(self, folder: Path) -> None:
        state = torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
        self.optimizer.load_state_dict(state["optimizer"])
        saved = json.loads((folder / STEP_FILE).read_text(encoding="utf-8"))
        self.step = int(saved["step"])
        now = {"samples": self.samples, "seed": self.values["seed"]}
        titles = {"samples": "the number of samples a step", "seed": "the seed"}
        for name, value in now.items():
            if saved.get(name) != value:
                text = f"the order of samples changes: {titles[name]} is {value} now, and was {saved.get(name)}"
                self.group.emit(Note(level="warning", text=text))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopped:
            os._exit(128 + number)
        self._stopped = True


def main(text: str) -> int:
    """Train as the settings say; return the exit code."""
    agreement = process_group.get_process_agreement()
    if agreement is None:
        return _train(text, lambda problem: print(problem, flush=True))
    with process_group.report_failures(agreement):
        return _train(text, agreement.report_failure)


def _train(text: str, report: Callable[[str], None]) -> int:
    try:
        return ActTraining(json.loads(text)).run()
    except (BagError, PolicyError) as error:
        report(f"error: {error}")
        return 4


if __name__ == "__main__":
    status = main(sys.argv[1])
    if count_ranks() > 1:  # a thread of the process group that still runs would abort an ordinary exit
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
