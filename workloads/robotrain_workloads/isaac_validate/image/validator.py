"""Roll out a policy in Isaac Lab's unchanged play script, and report each episode.

`isaaclab.sh -p validator.py --report FILE --episodes N [--params FILE] -- SCRIPT ARGUMENTS`, by Isaac Lab's Python. The
script makes the environment and the backend's own runner; as soon as that has loaded the checkpoint, the episodes
are played here, and the script, which would play without an end, goes no further.
"""

import argparse
import contextlib
import importlib
import inspect
import json
import os
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

IMPORT_HOOK = os.path.join(os.path.dirname(__file__), "..", "..", "isaac", "image", "import_hook.py")
SUCCESS_NAMES = ("success", "is_success", "task_success")
"""Names of the signal: a term of the termination manager, or a value of each environment in `extras`."""
RATE_NAME, TOLERANCE = "Metrics/success_rate", 1e-3
"""What Isaac Lab 3.0's tasks log instead: the success rate of the episodes that ended in a step."""
RSL_RL_SETTINGS = ("policy", "actor", "critic", "obs_groups")
"""What the network of rsl_rl is made of, in `params/agent.yaml`."""


class RslRlPolicy:
    """A policy of rsl_rl in its environment."""

    def __init__(self, runner: Any) -> None:
        self.env = runner.env
        self._policy = runner.get_inference_policy(device=runner.device)
        self._reset = getattr(getattr(self._policy, "__self__", self._policy), "reset", None)

    def begin(self) -> Any:
        """Return the first observations."""
        return self.env.get_observations()

    def step(self, observations: Any) -> tuple[Any, Any, Any, Any]:
        """Act; return observations, rewards, which episodes have ended, and extras."""
        observations, rewards, ended, extras = self.env.step(self._policy(observations))[:4]
        if self._reset:
            self._reset(ended)  # recurrent policies forget
        return observations, rewards, ended, extras


class SkrlPolicy:
    """A policy of skrl in its environment."""

    def __init__(self, runner: Any) -> None:
        self.env, self._agent = runner._env, runner._agent
        if hasattr(self._agent, "enable_training_mode"):
            self._agent.enable_training_mode(False, apply_to_models=True)
        else:
            self._agent.set_running_mode("eval")
        self._takes_states = "observations" in inspect.signature(self._agent.act).parameters

    def begin(self) -> Any:
        """Return the first observations. Raise ValueError with a sentence."""
        observations = self.env.reset()[0]
        if isinstance(observations, Mapping):
            raise ValueError("policies of several agents are not validated yet")
        return observations

    def step(self, observations: Any) -> tuple[Any, Any, Any, Any]:
        """Act; return observations, rewards, which episodes have ended, and extras."""
        states = (self.env.state(),) if self._takes_states else ()
        outputs = self._agent.act(observations, *states, timestep=0, timesteps=0)
        actions = outputs[-1].get("mean_actions", outputs[0])
        observations, rewards, terminated, truncated, extras = self.env.step(actions)
        return observations, rewards, terminated | truncated, {**extras, "time_outs": truncated}


class Episodes:
    """The running episodes. Of each environment the first few count: else most would be short ones."""

    def __init__(self, torch: Any, number: int, wanted: int, device: Any) -> None:
        self._torch, self._number = torch, number
        self._left = [wanted // number + (index < wanted % number) for index in range(number)]
        self._rounds = [0] * number
        self._began = [time.monotonic()] * number
        self._sums, self._steps, self._last = (torch.zeros(number, device=device) for _ in range(3))
        self._greatest = torch.full((number,), -float("inf"), device=device)
        self._successes = torch.zeros(number, dtype=torch.bool, device=device)

    @property
    def remaining(self) -> int:
        """The number of episodes that have not ended yet."""
        return sum(self._left)

    def add_step(self, rewards: Any, ended: Any, success: Any) -> Iterator[dict[str, Any]]:
        """Add a step; yield the episodes that it ended. `success`: whether each succeeded; None for no signal."""
        self._sums += rewards
        self._steps += 1
        self._last = rewards
        self._greatest = self._torch.maximum(self._greatest, rewards)
        if success is not None:
            self._successes |= success
        for index in ended.nonzero().flatten().tolist():
            if self._left[index]:
                self._left[index] -= 1
                yield {
                    "index": self._rounds[index] * self._number + index,
                    "steps": int(self._steps[index]),
                    "sum_reward": float(self._sums[index]),
                    "max_reward": float(self._greatest[index]),
                    "final_reward": float(self._last[index]),
                    "success": bool(self._successes[index]) if success is not None else None,
                    "seconds": time.monotonic() - self._began[index],
                }
            self._rounds[index] += 1
            self._began[index] = time.monotonic()
        going_on = ~ended
        self._sums *= going_on
        self._steps *= going_on
        self._successes &= going_on
        self._greatest[ended] = -float("inf")


class Validation:
    """One validation: its episodes, and its reports."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def append_report(self, event: str, **facts: object) -> None:
        """Report an event to the parent process, as a line of JSON."""
        with open(self.options.report, "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **facts}) + "\n")

    def change_rsl_rl(self, module: Any) -> None:
        """Wrap the runner: its network is that of the checkpoint's parameters, and episodes follow its `load`."""
        runner_class, validation = module.OnPolicyRunner, self
        construct, load = runner_class.__init__, runner_class.load

        def construct_changed(runner: Any, env: Any, train_cfg: Any, *arguments: Any, **named: Any) -> None:
            saved = read_params(validation.options.params)
            kept = {name: saved[name] for name in RSL_RL_SETTINGS if name in saved and name in train_cfg}
            construct(runner, env, {**train_cfg, **kept}, *arguments, **named)

        def load_and_play(runner: Any, *arguments: Any, **named: Any) -> None:
            with weights_only():
                load(runner, *arguments, **named)
            validation.play(RslRlPolicy(runner))

        runner_class.__init__, runner_class.load = construct_changed, load_and_play

    def change_skrl(self, module: Any) -> None:
        """Wrap the runner, whose agent loads: as with rsl_rl."""
        runner_class, validation = module.Runner, self
        construct = runner_class.__init__

        def construct_changed(runner: Any, env: Any, cfg: Any, *arguments: Any, **named: Any) -> None:
            saved = read_params(validation.options.params)
            scalers = {name: one for name, one in saved.get("agent", {}).items() if "_preprocessor" in name}
            models = {"models": saved["models"]} if "models" in saved else {}
            construct(runner, env, {**cfg, **models, "agent": {**cfg["agent"], **scalers}}, *arguments, **named)
            load = runner._agent.load

            def load_and_play(*arguments: Any, **named: Any) -> None:
                with weights_only():
                    load(*arguments, **named)
                validation.play(SkrlPolicy(runner))

            runner._agent.load = load_and_play

        runner_class.__init__ = construct_changed

    def play(self, policy: RslRlPolicy | SkrlPolicy) -> None:
        """Play the episodes, and end the process."""
        torch = importlib.import_module("torch")
        env, options = policy.env, self.options
        number = int(env.num_envs)
        limit = getattr(env.unwrapped, "max_episode_length", None)
        with torch.inference_mode():
            observations = policy.begin()
            episodes = Episodes(torch, number, options.episodes, env.device)
            self.append_report("began", device=str(env.device), num_envs=number, limit=limit)
            steps, most = 0, (options.episodes // number + 2) * int(limit) if limit else None
            while episodes.remaining or steps < options.video_length:
                observations, rewards, ended, extras = policy.step(observations)
                steps += 1
                ended = ended.reshape(number).bool()
                success = find_success(env.unwrapped, extras, ended)
                for episode in episodes.add_step(rewards.reshape(number), ended, success):
                    self.append_report("episode", **episode)
                if most is not None and steps > most:
                    raise TimeoutError(f"episodes do not end within {limit} steps")
        self.append_report("finished")
        sys.stdout.flush()
        with contextlib.suppress(Exception):
            env.close()  # completes a video
        os._exit(0)


def find_success(env: Any, extras: Any, ended: Any) -> Any:
    """Return whether each environment has just succeeded, as it says itself; None if it does not say."""
    number = len(ended)
    manager = getattr(env, "termination_manager", None)
    for name in SUCCESS_NAMES:
        if manager is not None and name in manager.active_terms:
            return manager.get_term(name).reshape(number).bool()
        for place in (extras, extras.get("log") if isinstance(extras, dict) else None):
            value = place.get(name) if isinstance(place, dict) else None
            if value is not None and tuple(getattr(value, "shape", ()))[:1] == (number,):
                return value.reshape(number).bool()
    log = extras.get("log") if isinstance(extras, dict) else None
    rate = log.get(RATE_NAME) if isinstance(log, dict) else None
    return None if rate is None else share_out(float(rate), ended, extras.get("time_outs"))


def share_out(rate: float, ended: Any, timed_out: Any) -> Any:
    """Return which of the episodes that ended in a step succeeded, given their success rate; None if it does not tell.

    It tells if all or none did, or as many as ended because their time was over: those survived.
    """
    number = int(ended.sum())
    count = round(rate * number)
    if not number:
        return ended
    if abs(rate * number - count) > TOLERANCE:
        return None  # no rate of episodes, but a share of goals
    if count in (0, number):
        return ended if count else ~ended & ended
    survived = None if timed_out is None else timed_out.reshape(ended.shape).bool() & ended
    return survived if survived is not None and int(survived.sum()) == count else None


@contextlib.contextmanager
def weights_only() -> Iterator[None]:
    """Let `torch.load` read weights alone within the block: the libraries would run code of a file."""
    torch: Any = importlib.import_module("torch")
    load: Callable[..., Any] = torch.load
    torch.load = lambda *arguments, **named: load(*arguments, **{**named, "weights_only": True})
    try:
        yield
    finally:
        torch.load = load


def read_params(path: str) -> dict[str, Any]:
    """Return the content of `params/agent.yaml`; empty without the file. What is no plain value in it becomes None."""
    if not path:
        return {}
    yaml: Any = importlib.import_module("yaml")

    class ParamsLoader(yaml.SafeLoader):  # type: ignore[misc]
        pass

    ParamsLoader.add_constructor("tag:yaml.org,2002:python/tuple", lambda loader, node: loader.construct_sequence(node))
    ParamsLoader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, tag, node: None)
    with open(path, encoding="utf-8") as file:
        content = yaml.load(file, ParamsLoader)
    return content if isinstance(content, dict) else {}


def main(arguments: Sequence[str]) -> None:
    """Run the script as it would run itself; what ends it is reported."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="validator")
    parser.add_argument("--report", required=True)
    parser.add_argument("--episodes", type=int, required=True)
    parser.add_argument("--video-length", type=int, default=0, help="steps of a video that the script records")
    parser.add_argument("--params", default="", help="the checkpoint's params/agent.yaml")
    validation = Validation(parser.parse_args(arguments[:separator]))
    script, *rest = arguments[separator + 1 :]
    try:
        runpy.run_path(IMPORT_HOOK)["run_script"](script, rest, validation.change_rsl_rl, validation.change_skrl)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        validation.append_report("failed", kind=type(error).__name__, why=first)
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
