"""Play exported policies in Isaac Lab's simulation: `isaaclab.sh -p play.py OPTIONS -- PLAY_SCRIPT ARGUMENTS`.

Isaac Lab's own play script starts the simulator and makes the environment. When it would load the checkpoint, the
exported policies act instead, one after the other, for the wanted steps and frames, which that script does not tell
apart. Each action is compared with that of the eager policy, on the observations that were met. Then the process ends.
"""

import argparse
import importlib
import json
import os
import runpy
import statistics
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
IMPORT_HOOK = os.path.join(HERE, "..", "..", "isaac", "image", "import_hook.py")
HEADER = struct.Struct("<cI")
"""Of the messages to `onnx_worker.py`."""
REPORT_SECONDS = 2.0
WARM_UPS = 3
"""Calls before the first that is measured: both runtimes prepare in them."""


class RslRlEnvironment:
    """The environment of a runner of rsl_rl."""

    def __init__(self, runner: Any) -> None:
        self._env = runner.env
        groups = getattr(runner, "cfg", {}).get("obs_groups") or {}
        self._groups = groups.get("actor") or groups.get("policy") or ["policy"]
        self.plain = runner.env.unwrapped

    def reset(self) -> Any:
        """Start all episodes; return the observations of the actor."""
        self.plain.reset()
        return self._join(self._env.get_observations())

    def step(self, actions: Any) -> tuple[Any, Any, Any]:
        """Return observations, rewards, and which episodes ended."""
        observations, rewards, done, _ = self._env.step(actions)
        return self._join(observations), rewards.flatten(), done.flatten() > 0

    def _join(self, observations: Any) -> Any:
        import torch

        return torch.cat([observations[name] for name in self._groups], dim=-1)


class SkrlEnvironment:
    """The environment of a runner of skrl."""

    def __init__(self, runner: Any) -> None:
        self._env = runner._env
        self.plain = self._env.unwrapped

    def reset(self) -> Any:
        """Start all episodes; return the observations."""
        self._env._reset_once = True  # else the wrapper returns what it has
        return self._env.reset()[0]

    def step(self, actions: Any) -> tuple[Any, Any, Any]:
        """Return observations, rewards, and which episodes ended."""
        observations, rewards, ended, cut, _ = self._env.step(actions)
        return observations, rewards.flatten(), (ended | cut).flatten() > 0


class JitPolicy:
    """The exported TorchScript."""

    def __init__(self, folder: str, device: Any) -> None:
        import torch

        self.facts: dict[str, object] = {}
        self._policy = torch.jit.load(os.path.join(folder, "policy.pt"), map_location=device)
        self._states = [name for name in ("hidden", "cell") if hasattr(self._policy, name)]
        self._cuda = torch.device(device).type == "cuda"

    def act(self, observations: Any) -> tuple[Any, float]:
        """Return the actions, and how many seconds they took."""
        import torch

        if self._cuda:
            torch.cuda.synchronize()
        began = time.perf_counter()
        actions = self._policy(observations)
        if self._cuda:
            torch.cuda.synchronize()
        return actions, time.perf_counter() - began

    def reset(self, done: Any) -> None:
        """Forget the states of the environments whose episode ended."""
        for name in self._states:
            getattr(self._policy, name)[:, done] = 0.0


class OnnxWorkerPolicy:
    """The exported ONNX file, in a process that has ONNX Runtime."""

    def __init__(self, command: Sequence[str], folder: str, actions: int) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LD_"))}
        self.facts: dict[str, object] = {"use_gpu": False}
        self._actions = actions
        file = os.path.join(folder, "policy.onnx")
        self._process = subprocess.Popen(
            [*command, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environ
        )

    def act(self, observations: Any) -> tuple[Any, float]:
        """Return the actions, and how many seconds ONNX Runtime took."""
        import torch

        count = observations.shape[0]
        self._send(b"A", count, observations.detach().float().cpu().contiguous().numpy().tobytes())
        (seconds,) = struct.unpack("<d", self._read(8))
        content = bytearray(self._read(4 * count * self._actions))
        actions = torch.frombuffer(content, dtype=torch.float32).reshape(count, self._actions)
        return actions.to(observations.device), seconds

    def reset(self, done: Any) -> None:
        """Forget the states of the environments whose episode ended."""
        self._send(b"R", done.shape[0], done.to("cpu").byte().numpy().tobytes())

    def _send(self, kind: bytes, count: int, content: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(HEADER.pack(kind, count) + content)

    def _read(self, size: int) -> bytes:
        assert self._process.stdout
        content = b""
        while len(content) < size:
            part = self._process.stdout.read(size - len(content))
            if not part:
                raise OSError("the process that runs the ONNX policy ended")
            content += part
        return content


class Player:
    """Plays each format, and writes what happened."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._reported = 0.0

    def report(self, event: str, **facts: object) -> None:
        """Append a line to the report."""
        with open(self._options.report, "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **facts}) + "\n")

    def play(self, environment: Any) -> None:
        """Play each format, then end this process: the script would go on without an end."""
        import torch

        try:
            sys.path.append(HERE)
            _, actor = importlib.import_module("actor").load_actor(self._options.checkpoint, self._options.agent)
            with torch.inference_mode():
                for name in self._options.formats.split(","):
                    self._play_format(name, environment, actor)
            self.report("finished")
        except BaseException as error:  # the simulator would hide it
            traceback.print_exc()
            self.report("failed", problem=f"{type(error).__name__}: {error}")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def _play_format(self, name: str, environment: Any, actor: Any) -> None:
        import torch

        options, compare = self._options, importlib.import_module("convert").compare
        if hasattr(environment.plain, "seed"):
            environment.plain.seed(options.seed)  # all formats are played from the same starts
        observations = environment.reset()
        if observations.shape[-1] != actor.observations:
            raise ValueError(
                f"the environment has {observations.shape[-1]} observations, and the policy reads {actor.observations}:"
                " --task names another task than the checkpoint's"
            )
        count, device = observations.shape[0], observations.device
        actor = actor.to(device)
        onnx = name == "onnx"
        policy: Any = OnnxWorkerPolicy(options.onnx_command, options.folder, actor.actions) if onnx else None
        policy = policy or JitPolicy(options.folder, device)
        video = Video(environment.plain, os.path.join(options.videos, f"{name}_play"), options.frames)
        states = actor.make_states(count)
        sums, episodes, seconds, total = torch.zeros(count, device=device), list[float](), list[float](), 0.0
        wanted, found = list[Any](), list[Any]()
        for _ in range(WARM_UPS):
            policy.act(observations)
        policy.reset(torch.ones(count, dtype=torch.bool, device=device))
        began, played = time.perf_counter(), 0.0
        for step in range(max(options.steps, options.frames)):
            actions, took = policy.act(observations)
            result = actor(observations, *states)
            eager, states = (result[0], result[1:]) if states else (result, ())
            wanted.append(eager.cpu())
            found.append(actions.cpu())
            observations, rewards, done = environment.step(actions)
            if step < options.steps:
                seconds.append(took)
                sums += rewards
                total += float(rewards.sum())
                episodes += sums[done].tolist()
                sums[done] = 0.0
            if bool(done.any()):
                policy.reset(done)
                for state in states:
                    state[:, done] = 0.0
            video.add_frame()
            if step + 1 == options.steps:
                played = time.perf_counter() - began
            if time.monotonic() - self._reported > REPORT_SECONDS:
                self._reported = time.monotonic()
                self.report("step", format=name, step=step + 1)
        video.close()
        comparison = compare(torch.stack(wanted).numpy(), torch.stack(found).numpy())
        if seconds:
            spread = summarize(seconds, episodes, total, count, played)
            metrics = {"format": name, "task": options.task, "num_envs": count, **spread, **policy.facts}
            with open(os.path.join(options.metrics, f"{name}_metrics.json"), "w", encoding="utf-8") as file:
                json.dump(metrics, file, indent=1)
        self.report("played", format=name, comparison=comparison, video=video.problem)


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
    times = sorted(1000 * one for one in seconds)
    ranks = {
        f"p{rank}_inference_time_ms": times[min(len(times) - 1, len(times) * rank // 100)] for rank in (50, 95, 99)
    }
    functions: dict[str, Any] = {"mean": statistics.fmean, "std": statistics.pstdev, "min": min, "max": max}
    rewards = {f"{name}_episode_reward": one(episodes) if episodes else None for name, one in functions.items()}
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


def main(arguments: Sequence[str]) -> None:
    """Run Isaac Lab's play script, up to where it would load the checkpoint."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="play")
    for name in ("report", "checkpoint", "agent", "folder", "formats", "metrics", "videos", "task"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("steps", "frames", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--onnx-command", type=json.loads, default=[])
    player = Player(parser.parse_args(arguments[:separator]))

    def change_rsl_rl(module: Any) -> None:
        module.OnPolicyRunner.load = lambda runner, *_, **__: player.play(RslRlEnvironment(runner))

    def change_skrl(module: Any) -> None:
        make = module.Runner.__init__

        def make_and_change(runner: Any, *given: Any, **named: Any) -> None:
            make(runner, *given, **named)
            runner.agent.load = lambda *_, **__: player.play(SkrlEnvironment(runner))

        module.Runner.__init__ = make_and_change

    script, *rest = arguments[separator + 1 :]
    runpy.run_path(IMPORT_HOOK)["run_script"](script, rest, change_rsl_rl, change_skrl)


if __name__ == "__main__":
    main(sys.argv[1:])
