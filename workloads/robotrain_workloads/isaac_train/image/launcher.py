"""Run a training script of Isaac Lab unchanged, with additions for starts, stops and reports.

It adds a start from a checkpoint, a total number of iterations over several attempts, a last checkpoint when the
training is stopped or ends, and reports of complete checkpoints. Isaac Lab's Python runs it:

`isaaclab.sh -p launcher.py --report FILE [--checkpoint FILE --mode MODE --first N] -- SCRIPT ARGUMENTS`

Nothing is imported before the simulator has started: a library is changed when the script imports it.
"""

import argparse
import importlib
import json
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

STOPPED = 128 + signal.SIGTERM
NOTHING_LEFT = 4
IMPORT_HOOK = os.path.join(os.path.dirname(__file__), "..", "..", "isaac", "image", "import_hook.py")


class Reporter:
    """Reports events to the parent process, as lines of JSON."""

    def __init__(self, path: str) -> None:
        self._path = path

    def append_report(self, event: str, **facts: object) -> None:
        """Append a line."""
        if is_first():
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"event": event, **facts}) + "\n")


def is_first() -> bool:
    """Return whether this is the only process, or the first of several."""
    return int(os.environ.get("RANK", "0")) == 0


def count_processes() -> int:
    """Return how many processes train together, as PyTorch knows them."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 1
    return int(distributed.get_world_size())


class StopRequest:
    """SIGTERM during a training: it is remembered until weights are whole, then the handler before it is called."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = signal.SIG_DFL

    def install(self) -> None:
        """Replace the handler that AppLauncher installed."""
        self._previous = signal.signal(signal.SIGTERM, self._remember)

    def end(self) -> NoReturn:
        """End as without this handler."""
        sys.stdout.flush()
        if callable(self._previous):
            self._previous(signal.SIGTERM, None)
        os._exit(STOPPED)

    def _remember(self, number: int, frame: object) -> None:
        if not is_first():
            return  # the first process saves; the others end with it
        if not self.requested:
            print("stopping: saving a checkpoint first", flush=True)
        self.requested = True


class Training:
    """One training: what it starts from, and what it reports."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.reporter = Reporter(options.report)
        self.stop = StopRequest()

    def report_start(self, folder: str, first: int, total: int, rollouts: int, env: Any) -> None:
        """Report what begins; end if not all processes train together: each would train on its own."""
        count, expected_count = count_processes(), self.options.ranks
        if count != expected_count:
            if is_first():
                print(f"error: {count} of {expected_count} processes train together", flush=True)
            os._exit(1)
        number = int(getattr(env, "num_envs", 0) or 0)
        facts = {"first": first, "total": total, "rollouts": rollouts, "processes": count, "environments": number}
        self.reporter.append_report("began", folder=folder, **facts)

    def end_without_steps(self, done_iterations: int, total: int) -> None:
        """End: the checkpoint has all iterations."""
        if not self.options.repeated:
            self.reporter.append_report("nothing_left", done=done_iterations, total=total)
            sys.stdout.flush()
            os._exit(NOTHING_LEFT)
        self.reporter.append_report("finished")

    # ------------------------------------------------------------ rsl_rl
    def change_rsl_rl(self, module: Any) -> None:
        """Wrap the runner's `learn`."""
        runner_class, training = module.OnPolicyRunner, self
        original = runner_class.learn

        def learn(runner: Any, num_learning_iterations: int, *args: Any, **kwargs: Any) -> Any:
            total = num_learning_iterations
            training.load_rsl_rl(runner)
            first_iteration = runner.current_learning_iteration
            log_dir = getattr(runner, "log_dir", None) or getattr(getattr(runner, "logger", None), "log_dir", None)
            if first_iteration and first_iteration + 1 >= total:
                return training.end_without_steps(first_iteration + 1, total)
            training.report_start(str(log_dir), first_iteration, total, 1, runner.env)
            training.watch_rsl_rl(runner, str(log_dir), first_iteration)
            training.stop.install()
            learn_result = original(runner, total - first_iteration, *args, **kwargs)
            training.reporter.append_report("finished")
            return learn_result

        runner_class.learn = learn

    def load_rsl_rl(self, runner: Any) -> None:
        """Load the checkpoint: all of it, or the weights and the normalizer alone."""
        if not self.options.checkpoint:
            return
        if self.options.mode == "resume":
            runner.load(self.options.checkpoint)
            return
        torch = importlib.import_module("torch")
        checkpoint = torch.load(self.options.checkpoint, map_location="cpu", weights_only=True)
        checkpoint["optimizer_state_dict"] = runner.alg.optimizer.state_dict()
        if "rnd_optimizer_state_dict" in checkpoint:
            checkpoint["rnd_optimizer_state_dict"] = runner.alg.rnd_optimizer.state_dict()
        checkpoint["iter"] = 0
        load_changed(torch, checkpoint, runner.load)

    def watch_rsl_rl(self, runner: Any, folder: str, first_iteration: int) -> None:
        """Report what is saved; after an update, save and end if that is asked for."""
        save, update = runner.save, runner.alg.update
        state = {"iteration": first_iteration - 1}

        def report_saved(path: str, *args: Any, **kwargs: Any) -> None:
            save(path, *args, **kwargs)
            self.reporter.append_report("checkpoint", path=str(path), step=int(runner.current_learning_iteration))

        def update_and_stop(*args: Any, **kwargs: Any) -> Any:
            update_result = update(*args, **kwargs)
            state["iteration"] += 1
            if self.stop.requested:
                runner.current_learning_iteration = state["iteration"]
                runner.save(os.path.join(folder, f"model_{state['iteration']}.pt"))
                self.stop.end()
            return update_result

        runner.save, runner.alg.update = report_saved, update_and_stop

    # ------------------------------------------------------------ skrl
    def change_skrl(self, module: Any) -> None:
        """Wrap the runner's `run`."""
        runner_class, training = module.Runner, self
        original = runner_class.run

        def run(runner: Any, mode: str = "train", *args: Any, **kwargs: Any) -> Any:
            if mode != "train":
                return original(runner, mode, *args, **kwargs)
            agent, trainer = runner._agent, runner._trainer
            settings = trainer if hasattr(trainer, "timesteps") else trainer.cfg
            total, first_timestep = int(settings.timesteps), training.options.first
            rollouts = int(getattr(agent, "_rollouts", 0) or getattr(agent.cfg, "rollouts", 0) or 1)
            first_timestep -= first_timestep % rollouts  # what an update has not seen is collected again
            training.load_skrl(agent)
            if first_timestep and first_timestep >= total:
                return training.end_without_steps(first_timestep // rollouts, total // rollouts)
            folder = str(agent.experiment_dir)
            training.report_start(folder, first_timestep, total, rollouts, trainer.env)
            training.watch_skrl(agent, folder, first_timestep, total, rollouts)
            training.watch_steps(trainer)
            settings.timesteps = total - first_timestep
            training.stop.install()
            run_result = original(runner, mode, *args, **kwargs)
            training.save_skrl(agent, folder, total)
            training.reporter.append_report("finished")
            return run_result

        runner_class.run = run

    def load_skrl(self, agent: Any) -> None:
        """Load the checkpoint: all of it, or all but the optimizer."""
        if not self.options.checkpoint:
            return
        if self.options.mode == "resume":
            agent.load(self.options.checkpoint)
            return
        torch = importlib.import_module("torch")
        checkpoint = torch.load(self.options.checkpoint, map_location="cpu", weights_only=True)
        load_changed(torch, drop_optimizers(checkpoint), agent.load)

    def watch_skrl(self, agent: Any, folder: str, first_timestep: int, total: int, rollouts: int) -> None:
        """Count timesteps from those of the checkpoint; report what is saved; save and end if that is asked for."""
        write, original_interaction = agent.write_checkpoint, agent.post_interaction

        def shift(function: Callable[..., Any]) -> Callable[..., Any]:
            def shifted(*args: Any, **kwargs: Any) -> Any:
                if "timestep" in kwargs:
                    kwargs.update(timestep=kwargs["timestep"] + first_timestep, timesteps=total)
                return function(*args, **kwargs)

            return shifted

        def report_written(*args: Any, **kwargs: Any) -> None:
            step = kwargs["timestep"] if "timestep" in kwargs else args[0]
            path = os.path.join(folder, "checkpoints", f"agent_{step}.pt")
            if os.path.isfile(path):  # Isaac Lab 3.0 writes the last one again, while that is copied
                return
            write(*args, **kwargs)
            if os.path.isfile(path):  # an agent may store its parts separately
                self.reporter.append_report("checkpoint", path=path, step=int(step))

        def interact_and_stop(*args: Any, **kwargs: Any) -> Any:
            interaction_result = original_interaction(*args, **kwargs)
            done_timesteps = kwargs["timestep"] + 1
            if self.stop.requested and done_timesteps % rollouts == 0:
                self.save_skrl(agent, folder, done_timesteps)
                self.stop.end()
            return interaction_result

        agent.write_checkpoint = report_written
        agent.post_interaction = shift(interact_and_stop)
        for name in ("pre_interaction", "act", "record_transition"):
            setattr(agent, name, shift(getattr(agent, name)))

    def save_skrl(self, agent: Any, folder: str, step: int) -> None:
        """Save a checkpoint of a timestep, unless it is there."""
        path = os.path.join(folder, "checkpoints", f"agent_{step}.pt")
        if not is_first() or os.path.isfile(path):
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        agent.save(path)
        self.reporter.append_report("checkpoint", path=path, step=step)

    def watch_steps(self, trainer: Any) -> None:
        """Turn plain numbers of the environment's log into tensors: skrl records no others.

        A reward that is NaN raises ValueError, as rsl_rl does: skrl would go on with weights that are NaN.
        """
        key = getattr(trainer, "environment_info", None) or getattr(trainer.cfg, "environment_info", "log")
        step = trainer.env.step

        def step_with_tensors(*args: Any, **kwargs: Any) -> Any:
            torch = importlib.import_module("torch")
            step_result = step(*args, **kwargs)
            rewards, infos = step_result[1], step_result[-1]
            reward_tensors = rewards.values() if isinstance(rewards, dict) else (rewards,)
            if any(bool(torch.isnan(reward_tensor).any()) for reward_tensor in reward_tensors):
                raise ValueError("the rewards that the environment returns contain NaN")
            log = infos.get(key) if isinstance(infos, dict) else None
            if isinstance(log, dict):
                infos[key] = {
                    name: torch.tensor(float(value)) if type(value) in (int, float) else value
                    for name, value in log.items()
                }
            return step_result

        trainer.env.step = step_with_tensors


def drop_optimizers(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint of skrl without its optimizer, or those of its agents: of several, each has its parts."""
    return {
        name: {key: value for key, value in part.items() if key != "optimizer"} if isinstance(part, dict) else part
        for name, part in checkpoint.items()
        if name != "optimizer"
    }


def load_changed(torch: Any, checkpoint: Any, load: Callable[[str], Any]) -> None:
    """Load changed content from a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "start.pt")
        torch.save(checkpoint, path)
        load(path)


def main(arguments: Sequence[str]) -> None:
    """Run the script as it would run itself."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--report", required=True)
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--ranks", type=int, default=1, help="how many processes train together")
    parser.add_argument("--mode", default="")
    parser.add_argument("--first", type=int, default=0, help="the timestep of a checkpoint of skrl")
    parser.add_argument("--repeated", action="store_true", help="an earlier attempt may have finished")
    training = Training(parser.parse_args(arguments[:separator]))
    script, *script_arguments = arguments[separator + 1 :]
    hook = runpy.run_path(IMPORT_HOOK)
    sb3 = runpy.run_path(os.path.join(os.path.dirname(__file__), "sb3_training.py"))["Sb3Training"](training)
    changes = {hook["RSL_RL"]: training.change_rsl_rl, hook["SKRL"]: training.change_skrl, hook["SB3"]: sb3.change}
    hook["run_script"](script, script_arguments, changes)


if __name__ == "__main__":
    main(sys.argv[1:])
