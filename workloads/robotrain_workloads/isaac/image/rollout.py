"""Play a policy in Isaac Lab's unchanged play script: `rollout.py OPTIONS -- SCRIPT ARGUMENTS`, by Isaac Lab's Python.

The script makes the environment and the library's own runner. As soon as that has loaded the checkpoint, the policy is
played here: `--episodes N` plays as many, `--export FOLDER` exports the policy and plays what was exported. The script,
which would play without an end, goes no further. What happens is reported to a file, as lines of JSON.
"""

import argparse
import contextlib
import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
RSL_RL_SETTINGS = ("policy", "actor", "critic", "obs_groups")
"""What the network of rsl_rl is made of, in `params/agent.yaml`."""
SB3_SETTINGS = ("policy_kwargs", "use_sde", "sde_sample_freq", "device")
"""The same of sb3, beside `policy`."""


class PlayedPolicy:
    """A library's own policy in its environment."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self.number = int(env.num_envs)

    def begin(self) -> Any:
        """Return the first observations. Raise ValueError."""
        raise NotImplementedError

    def restart(self) -> Any:
        """Start all episodes anew; return the observations."""
        return self.begin()

    def act(self, observations: Any) -> Any:
        """Return the mean actions."""
        raise NotImplementedError

    def list_inputs(self, observations: Any) -> list[Any]:
        """Return the tensors that the policy reads."""
        raise NotImplementedError

    def export(self, folder: str, formats: Sequence[str], size: int) -> None:
        """Write `policy.onnx` and `policy.pt`, for observations of a size."""
        raise NotImplementedError

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any]:
        """Return observations, rewards, which episodes have ended, and extras. Raise ValueError for no numbers."""
        torch = importlib.import_module("torch")
        observations, rewards, has_ended, extras = self._step(actions)
        tensors = {"rewards": [rewards], "observations": self.list_inputs(observations)}
        for name, tensors_of_name in tensors.items():
            if not all(bool(torch.isfinite(value).all()) for value in tensors_of_name):
                raise ValueError(f"the environment gives {name} that are not finite numbers (NaN)")
        return observations, rewards.reshape(self.number), has_ended.reshape(self.number).bool(), extras

    def _step(self, actions: Any) -> tuple[Any, Any, Any, Any]:
        raise NotImplementedError


class RslRlPolicy(PlayedPolicy):
    """A policy of rsl_rl."""

    def __init__(self, runner: Any) -> None:
        super().__init__(runner.env)
        self._runner = runner
        self._policy = runner.get_inference_policy(device=runner.device)
        self._reset = getattr(getattr(self._policy, "__self__", self._policy), "reset", None)
        observation_groups = getattr(runner, "cfg", {}).get("obs_groups") or {}
        self._groups = observation_groups.get("actor") or observation_groups.get("policy") or ["policy"]

    def begin(self) -> Any:
        """Return the first observations."""
        return self.env.get_observations()

    def restart(self) -> Any:
        """Start all episodes anew; return the observations."""
        if self._reset:
            self._reset()
        self.env.unwrapped.reset()
        return self.begin()

    def act(self, observations: Any) -> Any:
        """Return the mean actions."""
        return self._policy(observations)

    def list_inputs(self, observations: Any) -> list[Any]:
        """Return the tensors that the policy reads."""
        return [observations[name] for name in self._groups]

    def export(self, folder: str, formats: Sequence[str], size: int) -> None:
        """Write the files as rsl_rl does, or before rsl_rl 4 as Isaac Lab does."""
        runner = self._runner
        if hasattr(runner, "export_policy_to_onnx"):
            write = {"onnx": runner.export_policy_to_onnx, "jit": runner.export_policy_to_jit}
            for name in formats:
                write[name](folder)
            return
        exporters = importlib.import_module("isaaclab_rl.rsl_rl")
        policy = runner.alg.policy
        normalizer = getattr(policy, "actor_obs_normalizer", getattr(policy, "student_obs_normalizer", None))
        write = {"onnx": exporters.export_policy_as_onnx, "jit": exporters.export_policy_as_jit}
        for name in formats:
            write[name](policy, normalizer=normalizer, path=folder)

    def _step(self, actions: Any) -> tuple[Any, Any, Any, Any]:
        observations, rewards, has_ended, extras = self.env.step(actions)[:4]
        if self._reset:
            self._reset(has_ended)  # recurrent policies forget
        return observations, rewards, has_ended, extras


class SkrlPolicy(PlayedPolicy):
    """A policy of skrl."""

    def __init__(self, runner: Any) -> None:
        super().__init__(runner._env)
        self._agent = runner._agent
        if hasattr(self._agent, "enable_training_mode"):
            self._agent.enable_training_mode(False, apply_to_models=True)
        else:
            self._agent.set_running_mode("eval")
        self._takes_states = "observations" in inspect.signature(self._agent.act).parameters

    def begin(self) -> Any:
        """Return the first observations. Raise ValueError."""
        observations = self.env.reset()[0]
        if isinstance(observations, Mapping):
            raise ValueError("policies of several agents are not played yet")
        return observations

    def restart(self) -> Any:
        """Start all episodes anew; return the observations."""
        self.env._reset_once = True  # else the wrapper returns what it has
        return self.begin()

    def act(self, observations: Any) -> Any:
        """Return the mean actions."""
        states = (self.env.state(),) if self._takes_states else ()
        outputs = self._agent.act(observations, *states, timestep=0, timesteps=0)
        return outputs[-1].get("mean_actions", outputs[0])

    def list_inputs(self, observations: Any) -> list[Any]:
        """Return the tensors that the policy reads."""
        return [observations]

    def export(self, folder: str, formats: Sequence[str], size: int) -> None:
        """Write the files. Raise ValueError."""
        try:
            importlib.import_module("skrl_export").export_policy(self._agent, folder, formats, size)
        except Exception as error:  # a policy of the user's own may do anything
            raise ValueError(f"this policy of skrl is not exported yet: {error}") from error

    def _step(self, actions: Any) -> tuple[Any, Any, Any, Any]:
        observations, rewards, terminated, truncated, extras = self.env.step(actions)
        return observations, rewards, terminated | truncated, {**extras, "time_outs": truncated}


class Sb3Policy(PlayedPolicy):
    """A policy of Stable-Baselines3; returns and what the task logs are those of Isaac Lab's environment below it."""

    def __init__(self, agent: Any) -> None:
        super().__init__(agent.env.unwrapped)
        self._agent = agent
        self._last: Any = ()
        wrapper = agent.env
        while hasattr(wrapper, "venv"):
            wrapper = wrapper.venv
        step = wrapper.env.step

        def step_and_remember(actions: Any) -> Any:
            self._last = step(actions)
            return self._last

        wrapper.env.step = step_and_remember

    def begin(self) -> Any:
        """Return the first observations."""
        return self._agent.env.reset()

    def act(self, observations: Any) -> Any:
        """Return the mean actions."""
        return self._agent.predict(observations, deterministic=True)[0]

    def list_inputs(self, observations: Any) -> list[Any]:
        """Return the tensors that the policy reads."""
        torch = importlib.import_module("torch")
        input_arrays = observations.values() if isinstance(observations, Mapping) else [observations]
        return [torch.as_tensor(input_array) for input_array in input_arrays]

    def _step(self, actions: Any) -> tuple[Any, Any, Any, Any]:
        observations = self._agent.env.step(actions)[0]
        _, rewards, terminated, truncated, extras = self._last
        return observations, rewards, terminated | truncated, {**extras, "time_outs": truncated}


class ScriptRollout:
    """One rollout: how it begins in the script, its reports, and its end."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def append_report(self, event: str, **facts: object) -> None:
        """Report an event to the parent process, as a line of JSON."""
        with open(self.options.report, "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **facts}) + "\n")

    def report_failure(self, error: BaseException) -> None:
        """Report what ended the rollout."""
        error_lines = [error_line.strip() for error_line in str(error).splitlines() if error_line.strip()] or [""]
        first_lines = " ".join(error_lines[: 2 if error_lines[0].endswith(":") else 1])
        self.append_report("failed", kind=type(error).__name__, why=first_lines)

    def change_rsl_rl(self, module: Any) -> None:
        """Wrap the runner: its network is that of the checkpoint's parameters, and the rollout follows its `load`."""
        runner_class, rollout = module.OnPolicyRunner, self
        construct, load = runner_class.__init__, runner_class.load

        def construct_changed(runner: Any, env: Any, train_cfg: Any, *args: Any, **kwargs: Any) -> None:
            saved_params = read_params(rollout.options.params)
            settings = {
                name: saved_params[name] for name in RSL_RL_SETTINGS if name in saved_params and name in train_cfg
            }
            construct(runner, env, {**train_cfg, **settings}, *args, **kwargs)

        def load_and_play(runner: Any, *args: Any, **kwargs: Any) -> None:
            with weights_only():
                load(runner, *args, **kwargs)
            rollout.play(lambda: RslRlPolicy(runner))

        runner_class.__init__, runner_class.load = construct_changed, load_and_play

    def change_skrl(self, module: Any) -> None:
        """Wrap the runner, whose agent loads: as with rsl_rl."""
        runner_class, rollout = module.Runner, self
        construct = runner_class.__init__

        def construct_changed(runner: Any, env: Any, cfg: Any, *args: Any, **kwargs: Any) -> None:
            saved_params = read_params(rollout.options.params)
            scalers = {
                name: scaler for name, scaler in saved_params.get("agent", {}).items() if "_preprocessor" in name
            }
            models = {"models": saved_params["models"]} if "models" in saved_params else {}
            construct(runner, env, {**cfg, **models, "agent": {**cfg["agent"], **scalers}}, *args, **kwargs)
            load = runner._agent.load

            def load_and_play(*args: Any, **kwargs: Any) -> None:
                with weights_only():
                    load(*args, **kwargs)
                rollout.play(lambda: SkrlPolicy(runner))

            runner._agent.load = load_and_play

        runner_class.__init__ = construct_changed

    def change_sb3(self, module: Any) -> None:
        """Replace the agent's `load`: the network is that of the checkpoint's parameters, of which weights are read."""

        def load_and_play(path: str, env: Any, **kwargs: Any) -> None:
            saved_params = read_params(self.options.params)
            convert: Any = importlib.import_module("isaaclab_rl.sb3").process_sb3_cfg
            settings = convert(
                {name: saved_params[name] for name in SB3_SETTINGS if name in saved_params}, env.num_envs
            )
            agent = module.PPO(saved_params["policy"], env, n_steps=2, batch_size=2 * env.num_envs, **settings)
            agent.set_parameters(path, device=agent.device)
            self.play(lambda: Sb3Policy(agent))

        module.PPO.load = load_and_play

    def change_sb3_scaling(self, module: Any) -> None:
        """Replace `load` of what scales observations, which would run code of the file."""

        def load(path: Any, env: Any) -> Any:
            saved_statistics = importlib.import_module("sb3_files").read_statistics(path)
            saved_statistics.set_venv(env)
            return saved_statistics

        module.VecNormalize.load = load

    def play(self, make_policy: Callable[[], PlayedPolicy]) -> None:
        """Play the policy, and end the process: the script would go on without an end."""
        exit_code = 0
        try:
            policy = make_policy()
            if self.options.export:
                importlib.import_module("exported_policy").play_exported(policy, self.options, self.append_report)
            else:
                importlib.import_module("rollout_episodes").play_episodes(policy, self.options, self.append_report)
            self.append_report("finished")
        except BaseException as error:  # the simulator would hide it
            traceback.print_exc()
            self.report_failure(error)
            exit_code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        if not exit_code:
            with contextlib.suppress(Exception):
                policy.env.close()  # completes a video
        os._exit(exit_code)


@contextlib.contextmanager
def weights_only() -> Iterator[None]:
    """Let `torch.load` read weights alone within the block: the libraries would run code of a file."""
    torch: Any = importlib.import_module("torch")
    load: Callable[..., Any] = torch.load
    torch.load = lambda *args, **kwargs: load(*args, **{**kwargs, "weights_only": True})
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
        params = yaml.load(file, ParamsLoader)
    return params if isinstance(params, dict) else {}


def main(arguments: Sequence[str]) -> None:
    """Run the script as it would run itself; what ends it is reported."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="rollout")
    parser.add_argument("--report", required=True)
    parser.add_argument("--params", default="", help="the checkpoint's params/agent.yaml")
    parser.add_argument("--episodes", type=int)
    parser.add_argument("--video-length", type=int, default=0, help="steps of a video that the script records")
    parser.add_argument("--export", default="", help="the folder to export to")
    parser.add_argument("--formats", default="", help="what to export: onnx,jit")
    parser.add_argument("--metrics", help="the folder for metrics of exported policies")
    parser.add_argument("--videos", help="the folder for their videos")
    parser.add_argument("--steps", type=int, help="that each of them is measured")
    parser.add_argument("--frames", type=int, help="of the video of each of them")
    parser.add_argument("--task", help="what metrics call it")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--onnx-command", type=json.loads, help="the words that run a file of ONNX")
    rollout = ScriptRollout(parser.parse_args(arguments[:separator]))
    sys.path.append(HERE)
    script, *script_arguments = arguments[separator + 1 :]
    hook: Any = importlib.import_module("import_hook")
    try:
        changes = {hook.RSL_RL: rollout.change_rsl_rl, hook.SKRL: rollout.change_skrl, hook.SB3: rollout.change_sb3}
        hook.run_script(script, script_arguments, {**changes, hook.SB3_SCALING: rollout.change_sb3_scaling})
    except Exception as error:
        rollout.report_failure(error)
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
