"""Train ACT on ROS 2 bags: `python -m robotrain_workloads.rosbag_act_train.trainer SETTINGS`, in the job's environment.

Settings are JSON, made by `container.work`. A stop (SIGTERM, SIGINT) saves a checkpoint; a resumed training goes on
with the same data order and random numbers.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from robotrain_runtime.contract.event import Checkpoint, Metrics, Note, emit_event
from torch import Tensor

from robotrain_workloads.lerobot.device import choose_device
from robotrain_workloads.lerobot.policy import MODEL_FOLDER, STEP_FILE
from robotrain_workloads.rosbag_act_train.act.config import ActConfig
from robotrain_workloads.rosbag_act_train.act.model import PADDED, Act
from robotrain_workloads.rosbag_act_train.act.optimizer import make_optimizer, take_step
from robotrain_workloads.rosbag_act_train.act.policy_files import Statistics, load_policy, save_policy
from robotrain_workloads.rosbag_act_train.bags.bag_files import BagError
from robotrain_workloads.rosbag_act_train.bags.pictures import CACHE_FOLDER
from robotrain_workloads.rosbag_act_train.training_data import (
    BatchMaker,
    LoadedEpisode,
    Sampler,
    iterate_all,
    load_bags,
    make_settings,
    measure_limits,
    measure_statistics,
    split_episodes,
)

STATE_FILE = STEP_FILE.parent / "optimizer_and_random.pt"
STOPPED_STATUS = 128 + signal.SIGTERM
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures, in place of the data's own, as LeRobot's trainer does."""
OPTIONS = (
    *("chunk_size", "dim_model", "n_heads", "dim_feedforward", "n_encoder_layers", "n_decoder_layers"),
    *("n_vae_encoder_layers", "use_vae", "latent_dim", "kl_weight", "dropout"),
)


class ActTraining:
    """One training: its model, data and state."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.values: Mapping[str, Any] = settings["parameters"]
        self.folder = Path(settings["checkpoints"])
        self.device = choose_device(self.values["device"])
        self.total = int(self.values["training_steps"])
        self.step = 0
        self._stopped = False
        train, held_out = self._load_episodes(settings)
        torch.manual_seed(self.values["seed"])
        self.statistics = make_statistics(train)
        self.model = Act(make_config(self.values, train[0])).to(self.device)
        rate = self.values["learning_rate"]
        self.optimizer = make_optimizer(
            self.model,
            lr=rate,
            lr_backbone=self.values["lr_backbone"] or rate,
            weight_decay=self.values["weight_decay"],
        )
        self.maker = BatchMaker(train, self.values["chunk_size"])
        self.validation = BatchMaker(held_out, self.values["chunk_size"]) if held_out else None
        self.sampler = Sampler(self.maker.steps, self.values["batch_size"], self.values["seed"])
        if settings["resume"]:
            self._load(Path(settings["resume"]))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def run(self) -> int:
        """Train to the last step; return the exit code."""
        values, began = self.values, time.monotonic()
        losses: list[tuple[float, float, float, float]] = []
        emit_event(Metrics(values={}, step=self.step, total=self.total))
        for batches in self._iterate_batches():
            losses.append(self._train_step(batches))
            self.step += 1
            if not math.isfinite(losses[-1][0]):
                print(f"error: the loss is {losses[-1][0]} at step {self.step}: lower --learning-rate", flush=True)
                return 1
            last = self.step == self.total
            if self.step % values["log_freq"] == 0 or last:
                self._report(losses, time.monotonic() - began)
                losses, began = [], time.monotonic()
            if self.step % values["save_freq"] == 0 or last or self._stopped:
                self._validate()
                self._save()
            if self._stopped:
                print(f"stopped at step {self.step}, and saved it", flush=True)
                return STOPPED_STATUS
        return 0

    def _load_episodes(self, settings: Mapping[str, Any]) -> tuple[list[LoadedEpisode], list[LoadedEpisode]]:
        loaded = load_bags(
            [Path(folder) for folder in settings["bags"]],
            make_settings(self.values),
            Path(settings["cache"]) / CACHE_FOLDER,
            chunk=self.values["chunk_size"],
            salvage=self.values["salvage"],
            report=lambda line: print(line, flush=True),
        )
        train, held_out = split_episodes(loaded.episodes, self.values["val_split"], self.values["seed"])
        steps = sum(one.steps for one in train)
        text = f"{len(train)} episodes to train on ({steps} steps), {len(held_out)} held out"
        if loaded.dropped:
            text += f", {loaded.dropped} pieces shorter than a chunk dropped"
        emit_event(Note(level="info", text=text))
        return train, held_out

    def _iterate_batches(self) -> Iterator[list[dict[str, np.ndarray[Any, Any]]]]:
        """Yield the batches of each step; those of the next one are made meanwhile."""
        count = self.values["accumulate"]

        def make_batches(step: int) -> list[dict[str, np.ndarray[Any, Any]]]:
            return [self.maker.make_batch(self.sampler.choose(step * count + part)) for part in range(count)]

        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(make_batches, self.step)
            for step in range(self.step, self.total):
                batches = following.result()
                following = pool.submit(make_batches, step + 1)
                yield batches

    def _train_step(self, batches: list[dict[str, np.ndarray[Any, Any]]]) -> tuple[float, float, float, float]:
        """Return loss, L1 loss, divergence and gradient norm of a step."""
        self.model.train()
        totals = [0.0, 0.0, 0.0]
        parts = len(batches)
        for batch in batches[:-1]:
            loss = self._compute(batch)
            (loss.total / parts).backward()
            _add_losses(totals, loss, parts)
        loss = self._compute(batches[-1])
        _add_losses(totals, loss, parts)
        norm = take_step(self.model, self.optimizer, loss.total / parts)
        return totals[0], totals[1], totals[2], norm

    def _compute(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> Any:
        precision = self.values["mixed_precision"]
        autocast = torch.autocast(self.device, torch.bfloat16) if precision == "bf16" else nullcontext()
        with autocast:
            return self.model.compute_loss(self.statistics.normalize(make_tensors(batch, self.device)))

    def _validate(self) -> None:
        if self.validation is None:
            return
        self.model.eval()
        weights, losses = [], []
        with torch.no_grad():
            for batch in iterate_all(self.validation, self.values["batch_size"]):
                losses.append(float(self._compute(batch).l1))
                weights.append(int((~batch[PADDED]).sum()))
        value = float(np.average(losses, weights=weights))
        emit_event(Metrics(values={"val/loss": value}, step=self.step, total=self.total))

    def _report(self, losses: list[tuple[float, float, float, float]], seconds: float) -> None:
        loss, l1, kl, norm = (float(one) for one in np.mean(losses, axis=0))
        samples = len(losses) * self.values["batch_size"] * self.values["accumulate"]
        values = {
            "train/loss": loss,
            "train/l1_loss": l1,
            "train/grad_norm": norm,
            "train/lr": self.optimizer.param_groups[0]["lr"],
            "train/samples_per_s": samples / max(seconds, 1e-9),
            **({"train/kld_loss": kl} if self.model.config.use_vae else {}),
        }
        emit_event(Metrics(values=values, step=self.step, total=self.total))

    def _save(self) -> None:
        target = self.folder / f"{self.step:06}"
        if target.exists():
            return
        scratch = target.with_name(f".{target.name}.part")
        shutil.rmtree(scratch, ignore_errors=True)
        (scratch / MODEL_FOLDER).mkdir(parents=True)
        (scratch / STEP_FILE).parent.mkdir()
        save_policy(scratch / MODEL_FOLDER, self.model, self.statistics, device=self.device)
        state = {"optimizer": self.optimizer.state_dict(), "random": torch.get_rng_state()}
        if self.device == "cuda":
            state["cuda_random"] = torch.cuda.get_rng_state()
        torch.save(state, scratch / STATE_FILE)
        facts = {"step": self.step, "batch_size": self.values["batch_size"], "seed": self.values["seed"]}
        (scratch / STEP_FILE).write_text(json.dumps(facts) + "\n", encoding="utf-8")
        scratch.rename(target)
        emit_event(Checkpoint(step=self.step, path=str(target.absolute()), model=MODEL_FOLDER))

    def _load(self, folder: Path) -> None:
        model, statistics = load_policy(folder / MODEL_FOLDER)
        self.model.load_state_dict(model.state_dict())
        self.statistics = statistics
        state = torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        if self.device == "cuda" and "cuda_random" in state:
            torch.cuda.set_rng_state(state["cuda_random"])
        saved = json.loads((folder / STEP_FILE).read_text(encoding="utf-8"))
        self.step = int(saved["step"])
        for name in ("batch_size", "seed"):
            if saved.get(name) != self.values[name]:
                text = f"the order of samples changes: {name} is {self.values[name]} now, and was {saved.get(name)}"
                emit_event(Note(level="warning", text=text))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopped:
            os._exit(128 + number)
        self._stopped = True


def make_config(values: Mapping[str, Any], episode: LoadedEpisode) -> ActConfig:
    """Return the policy's configuration for what an episode holds."""
    sizes = {name: int(array.shape[1]) for name, array in episode.values.items()}
    cameras = {name: (3, *camera.pictures.shape[1:3]) for name, camera in episode.cameras.items()}
    return ActConfig(
        cameras=cameras,
        state=sizes.get("observation.state", 0),
        environment=sizes.get("observation.environment_state", 0),
        action=sizes["action"],
        n_action_steps=values["n_action_steps"] or values["chunk_size"],
        optimizer_lr=values["learning_rate"],
        optimizer_lr_backbone=values["lr_backbone"] or values["learning_rate"],
        optimizer_weight_decay=values["weight_decay"],
        **{name: values[name] for name in OPTIONS},
    )


def make_statistics(episodes: list[LoadedEpisode]) -> Statistics:
    """Return the statistics that a policy is normalized with: of the training episodes, and ImageNet's of pictures."""
    measured = measure_statistics(episodes)
    mean = {name: torch.from_numpy(one) for name, (one, _) in measured.items()}
    std = {name: torch.from_numpy(one) for name, (_, one) in measured.items()}
    for name in episodes[0].cameras:
        mean[name] = torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1)
        std[name] = torch.tensor(IMAGENET_STD).reshape(3, 1, 1)
    return Statistics(mean, std, {name: torch.from_numpy(one) for name, one in measure_limits(episodes).items()})


def make_tensors(batch: Mapping[str, np.ndarray[Any, Any]], device: str) -> dict[str, Tensor]:
    """Return a batch as tensors; pictures become (batch, 3, height, width) in 0 to 1."""
    tensors = {}
    for name, array in batch.items():
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(device)
        tensors[name] = tensor.permute(0, 3, 1, 2).float() / 255 if array.dtype == np.uint8 else tensor
    return tensors


def _add_losses(totals: list[float], loss: Any, parts: int) -> None:
    for index, part in enumerate((loss.total, loss.l1, loss.kl)):
        totals[index] += 0.0 if part is None else float(part.detach()) / parts


def main(text: str) -> int:
    """Train as the settings say; return the exit code."""
    try:
        return ActTraining(json.loads(text)).run()
    except BagError as error:
        print(f"error: {error}", flush=True)
        return 4


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
