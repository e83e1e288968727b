"""The files of an exported policy: written, compared with the library's own policy, and played in its environment."""

import importlib
import json
import math
import os
import statistics
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

HEADER = struct.Struct("<cI")
"""Of the messages to `onnx_worker.py`."""
REPORT_SECONDS = 2.0
WARM_UPS = 3
"""Calls before the first that is measured: both runtimes prepare in them."""
OBSERVATIONS = 200
"""The fewest that the actions of a file are compared on."""
ABSOLUTE, RELATIVE = 1e-5, 1e-4
"""The largest difference of an action that is taken for the same: `ABSOLUTE + RELATIVE * |action|`."""
FILES = {"onnx": "policy.onnx", "jit": "policy.pt"}


def play_exported(policy: Any, options: Any, append_report: Callable[..., None]) -> None:
    """Export the policy, then play each file from the same states, and report how it compares with the policy."""
    torch = importlib.import_module("torch")
    formats = options.formats.split(",")
    observations = policy.begin()
    inputs = policy.list_inputs(observations)
    if any(len(tensor.shape) != 2 for tensor in inputs):
        raise ValueError("policies of observations with several dimensions, such as pictures, are not exported")
    size = sum(int(tensor.shape[1]) for tensor in inputs)
    policy.export(options.export, formats, size)
    with torch.inference_mode():
        actions = int(policy.act(observations).shape[-1])
        append_report("exported", observations=size, actions=actions)
        for name in formats:
            play_format(name, policy, options, append_report)


def play_format(name: str, policy: Any, options: Any, append_report: Callable[..., None]) -> None:
    """Play a file. Raise ValueError unless its actions are those of the policy."""
    torch, rollout_episodes = (importlib.import_module(module) for module in ("torch", "rollout_episodes"))
    env, count, device = policy.env.unwrapped, policy.number, policy.env.device
    if hasattr(env, "seed"):
        env.seed(options.seed)
    observations = policy.restart()
    exported_policy: Any = JitPolicy(options.export, device) if name == "jit" else None
    exported_policy = exported_policy or OnnxWorkerPolicy(options.onnx_command, options.export)
    first_inputs = torch.cat(policy.list_inputs(observations), dim=-1)
    for _ in range(WARM_UPS):
        exported_policy.act(first_inputs)
    exported_policy.reset(torch.ones(count, dtype=torch.bool, device=device))
    comparison = ActionComparison()
    video = Video(env, os.path.join(options.videos, f"{name}_play"), options.frames)
    steps = max(options.steps, options.frames, math.ceil(OBSERVATIONS / count))
    episodes = rollout_episodes.Episodes(torch, count, steps * count, device)
    returns = list[float]()
    seconds = list[float]()
    total = 0.0
    report_time = 0.0
    start_time, played_seconds = time.perf_counter(), 0.0
    for step in range(steps):
        actions, action_seconds = exported_policy.act(torch.cat(policy.list_inputs(observations), dim=-1))
        comparison.add(policy.act(observations), actions)
        observations, rewards, has_ended, _ = policy.step(actions)
        if bool(has_ended.any()):
            exported_policy.reset(has_ended)
        if step < options.steps:
            seconds.append(action_seconds)
            total += float(rewards.sum())
            returns += [episode["sum_reward"] for episode in episodes.add_step(rewards, has_ended, None)]
        if step + 1 == options.steps:
            played_seconds = time.perf_counter() - start_time
        video.add_frame()
        if time.monotonic() - report_time > REPORT_SECONDS:
            report_time = time.monotonic()
            append_report("step", format=name, step=step + 1, total=steps)
    video.close()
    if not comparison.passed:
        raise ValueError(
            f"{FILES[name]} does not give the checkpoint's actions: they differ by up to {comparison.max_error:.3g},"
            f" more than {ABSOLUTE:g} + {RELATIVE:g} of the action"
        )
    if seconds:
        play_metrics = summarize(seconds, returns, total, count, played_seconds)
        metrics = {"format": name, "task": options.task, "num_envs": count, **play_metrics, **exported_policy.facts}
        with open(os.path.join(options.metrics, f"{name}_metrics.json"), "w", encoding="utf-8") as file:
            json.dump(metrics, file, indent=1)
    append_report("played", format=name, comparison=comparison.describe(), video=video.problem)


class ActionComparison:
    """How far the actions of a file are from those of the policy."""

    def __init__(self) -> None:
        self.max_error = self.max_share = 0.0
        self.observations = 0

    def add(self, expected: Any, actions: Any) -> None:
        """Add the actions on a batch of observations."""
        expected = expected.double()
        difference = (actions.double() - expected).abs().nan_to_num(nan=math.inf)
        self.max_error = max(self.max_error, float(difference.max()))
        self.max_share = max(self.max_share, float((difference / (ABSOLUTE + RELATIVE * expected.abs())).max()))
        self.observations += len(actions)

    @property
    def passed(self) -> bool:
        """Whether they are the same."""
        return self.max_share <= 1.0

    def describe(self) -> dict[str, object]:
        """Return what results say."""
        return {
            "observations": self.observations,
            "max_error": self.max_error,
            "max_share_of_tolerance": self.max_share,
            "passed": self.passed,
        }


class JitPolicy:
    """The exported TorchScript."""

    def __init__(self, folder: str, device: Any) -> None:
        import torch

        self.facts: dict[str, object] = {}
        self._policy = torch.jit.load(os.path.join(folder, FILES["jit"]), map_location=device)
        self._states = [name for name in ("hidden_state", "cell_state") if hasattr(self._policy, name)]
        self._cuda = torch.device(device).type == "cuda"

    def act(self, observations: Any) -> tuple[Any, float]:
        """Return the actions, and how many seconds they took."""
        import torch

        for name in self._states:  # of one environment in the file
            state = getattr(self._policy, name)
            if state.shape[1] != len(observations):
                setattr(self._policy, name, state[:, :1].repeat(1, len(observations), 1))
        if self._cuda:
            torch.cuda.synchronize()
        start_time = time.perf_counter()
        actions = self._policy(observations)
        if self._cuda:
            torch.cuda.synchronize()
        return actions, time.perf_counter() - start_time

    def reset(self, done: Any) -> None:
        """Forget the states of the environments whose episode ended."""
        for name in self._states:
            getattr(self._policy, name)[:, done] = 0.0


class OnnxWorkerPolicy:
    """The exported ONNX file, in a process that has ONNX Runtime."""

    def __init__(self, command: Sequence[str], folder: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LD_"))}
        self.facts: dict[str, object] = {"use_gpu": False}
        file = os.path.join(folder, FILES["onnx"])
        self._process = subprocess.Popen(
            [*command, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environ
        )

    def act(self, observations: Any) -> tuple[Any, float]:
        """Return the actions, and how many seconds ONNX Runtime took."""
        import torch

        count = observations.shape[0]
        self._send(b"A", count, observations.detach().float().cpu().contiguous().numpy().tobytes())
        seconds, size = struct.unpack("<dI", self._read(12))
        actions_bytes = bytearray(self._read(4 * count * size))
        actions = torch.frombuffer(actions_bytes, dtype=torch.float32).reshape(count, size)
        return actions.to(observations.device), seconds

    def reset(self, done: Any) -> None:
        """Forget the states of the environments whose episode ended."""
        self._send(b"R", done.shape[0], done.to("cpu").byte().numpy().tobytes())

    def _send(self, kind: bytes, count: int, content: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(HEADER.pack(kind, count) + content)

    def _read(self, size: int) -> bytes:
        assert self._process.stdout
        output_bytes = b""
        while len(output_bytes) < size:
            chunk = self._process.stdout.read(size - len(output_bytes))
            if not chunk:
                raise OSError("the process that runs the ONNX policy ended")
            output_bytes += chunk
        return output_bytes


class Video:
    """A video of the environment; `problem` says why there is none."""

    def __init__(self, env: Any, folder: str, frames: int) -> None:
        self.problem = ""
        self._env, self._folder, self._left = env, folder, frames
        self._writer: Any = None

    def add_frame(self) -> None:
        """Add a frame, until there are enough."""
        if self._left <= 0 or self.problem:
            return
        self._left -= 1
        try:
            frame = self._env.render()
            if frame is None:
                self.problem = "the environment renders nothing"
                return
            if self._writer is None:
                os.makedirs(self._folder, exist_ok=True)
                fps = round(1.0 / float(getattr(self._env, "step_dt", 1 / 30)))
                file = os.path.join(self._folder, "rl-video-step-0.mp4")
                self._writer = importlib.import_module("imageio").get_writer(file, fps=max(1, fps), macro_block_size=2)
            self._writer.append_data(frame)
        except Exception as error:  # a policy is not wrong because its video cannot be written
            self.problem = f"{type(error).__name__}: {error}"

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.close()


def summarize(
    seconds: Sequence[float], episodes: Sequence[float], total: float, count: int, played: float
) -> dict[str, object]:
    """Return the metrics of a play, by the names of the reference."""
    times = sorted(1000 * second for second in seconds)
    ranks = {
        f"p{percentile}_inference_time_ms": times[min(len(times) - 1, len(times) * percentile // 100)]
        for percentile in (50, 95, 99)
    }
    functions: dict[str, Any] = {"mean": statistics.fmean, "std": statistics.pstdev, "min": min, "max": max}
    rewards = {
        f"{name}_episode_reward": function(episodes) if episodes else None for name, function in functions.items()
    }
    return {
        "total_steps": len(times),
        "total_episodes": len(episodes),
        **rewards,
        "mean_inference_time_ms": statistics.fmean(times),
        "std_inference_time_ms": statistics.pstdev(times),
        "min_inference_time_ms": times[0],
        "max_inference_time_ms": times[-1],
        **ranks,
        "throughput_steps_per_sec": count * len(times) / played,
        "total_reward": total,
    }
