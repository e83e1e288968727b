"""A training of Stable-Baselines3: its start, logs and reports of checkpoints. `launcher.py` runs it from its file.

Its own load would run code of a checkpoint, so that only weights are read here: the policy's, the optimizer's, and the
statistics of observations, which it keeps in a file beside.
"""

import importlib
import os
import runpy
from typing import Any

SB3_FILES = os.path.join(os.path.dirname(__file__), "..", "..", "isaac", "image", "sb3_files.py")
OPTIMIZER = "policy.optimizer"
STATISTICS = ("obs_rms", "ret_rms")
"""What scales observations and rewards."""
LOGS = 100
"""How often a training logs at least; Isaac Lab's own interval is 100,000 timesteps, however short the training is."""


class Sb3Training:
    """The training: `training` is what all libraries have in common."""

    def __init__(self, training: Any) -> None:
        self._training, self._files = training, runpy.run_path(SB3_FILES)
        self._logged_at = 0
        self._interval = 0.0
        self._task_logs: list[dict[str, Any]] = []
        """What the task has logged since the last update, by step: its success rate, the terms of its reward."""

    def change(self, module: Any) -> None:
        """Wrap PPO's `learn`, and what saves and updates: on the class, since `save` writes what an agent holds."""
        agent_class, training = module.PPO, self._training
        learn, save, train = agent_class.learn, agent_class.save, agent_class.train

        def save_and_report(agent: Any, path: Any, *args: Any, **kwargs: Any) -> None:
            save(agent, path, *args, **kwargs)
            file = path if str(path).endswith(".zip") else f"{path}.zip"
            if os.path.basename(file) != "model.zip":  # the last one has its timestep, too
                scaled_env = agent.get_vec_normalize_env()
                if scaled_env is not None:
                    scaled_env.save(self._files["get_statistics_file"](file))
                training.reporter.append_report("checkpoint", path=file, step=int(agent.num_timesteps))

        def train_and_stop(agent: Any) -> None:
            train(agent)
            self.log(agent)
            if training.stop.requested:
                save_step(agent)
                training.stop.end()

        def learn_more(agent: Any, total_timesteps: int, *args: Any, **kwargs: Any) -> Any:
            rollout = agent.n_steps * agent.n_envs
            total = int(total_timesteps)
            first_timestep = self.load(agent)
            first_timestep -= first_timestep % rollout  # what an update has not seen is collected again
            if first_timestep and first_timestep >= total:
                return training.end_without_steps(first_timestep // rollout, total // rollout)
            training.report_start(str(agent.tensorboard_log), first_timestep, total, rollout, agent.env)
            training.stop.install()
            self.watch_task(agent)
            self._logged_at, self._interval = first_timestep, (total - first_timestep) / LOGS
            agent.num_timesteps = first_timestep
            kwargs.update(reset_num_timesteps=not first_timestep, progress_bar=False)
            learned_agent = learn(agent, total - first_timestep, *args, **kwargs)
            self.log(agent, is_last=True)
            save_step(agent)
            training.reporter.append_report("finished")
            return learned_agent

        def save_step(agent: Any) -> None:
            file = os.path.join(str(agent.tensorboard_log), f"model_{agent.num_timesteps}_steps.zip")
            if not os.path.isfile(file):
                agent.save(file)

        agent_class.learn, agent_class.save, agent_class.train = learn_more, save_and_report, train_and_stop

    def watch_task(self, agent: Any) -> None:
        """Keep what the task logs: sb3 records of it only what each episode has.

        A reward that is NaN raises ValueError, as rsl_rl does: sb3 would go on with weights that are NaN.
        """
        wrapper = agent.env
        while hasattr(wrapper, "venv"):
            wrapper = wrapper.venv
        step = wrapper.env.step

        def step_and_keep(actions: Any) -> Any:
            step_result = step(actions)
            if bool(step_result[1].isnan().any()):
                raise ValueError("the rewards that the environment returns contain NaN")
            self._task_logs.append(dict(step_result[-1].get("log", {})))
            return step_result

        wrapper.env.step = step_and_keep

    def log(self, agent: Any, *, is_last: bool = False) -> None:
        """Record what the task has logged since the last update; log if the interval is over, and what is left."""
        for log in self._task_logs:
            for name, value in log.items():
                agent.logger.record_mean(name, float(value))
        self._task_logs.clear()
        if agent.num_timesteps - self._logged_at >= (1 if is_last else self._interval):
            self._logged_at = agent.num_timesteps
            agent.dump_logs()

    def load(self, agent: Any) -> int:
        """Load the checkpoint: all of it, or all but the optimizer; return the timestep to go on at."""
        options = self._training.options
        if not options.checkpoint:
            return 0
        load_zip: Any = importlib.import_module("stable_baselines3.common.save_util").load_from_zip_file
        parameters = load_zip(options.checkpoint, device=agent.device, load_data=False)[1]
        is_resumed = options.mode == "resume"
        agent.set_parameters(parameters if is_resumed else {**parameters, OPTIMIZER: agent.get_parameters()[OPTIMIZER]})
        self._load_statistics(agent, self._files["get_statistics_file"](options.checkpoint))
        return int(self._files["read_timestep"](options.checkpoint)) if is_resumed else 0

    def _load_statistics(self, agent: Any, file: str) -> None:
        scaled_env = agent.get_vec_normalize_env()
        if scaled_env is None:
            return
        if not os.path.isfile(file):
            raise FileNotFoundError(f"observations are scaled, and their statistics are missing: {file}")
        saved_statistics = self._files["read_statistics"](file)
        for name in STATISTICS:
            setattr(scaled_env, name, getattr(saved_statistics, name))
