"""Checkpoints of skrl: how its training in Isaac Lab is watched, and what a warm start takes of one."""

import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from robotrain_workloads.isaac_train import parameters, workload
from robotrain_workloads.isaac_train.image import launcher


class Agent:
    """An agent that writes checkpoints as skrl does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.written = folder, list[int]()

    def write_checkpoint(self, *, timestep: int, timesteps: int) -> None:
        self.written.append(timestep)
        self.save(self.folder / "checkpoints" / f"agent_{timestep}.pt")

    def save(self, path: Any) -> None:
        Path(path).write_text(str(len(self.written)))

    def post_interaction(self, **kwargs: int) -> None: ...

    pre_interaction = act = record_transition = post_interaction


def make_training(reports: list[dict[str, Any]]) -> launcher.Training:
    training = launcher.Training.__new__(launcher.Training)
    append = lambda event, **facts: reports.append({"event": event, **facts})  # noqa: E731
    training.reporter = SimpleNamespace(append_report=append)  # type: ignore[assignment]
    training.stop = launcher.StopRequest()
    return training


def test_a_checkpoint_that_was_reported_is_not_written_again(tmp_path: Path) -> None:
    """Isaac Lab 3.0 writes that of the end again, while it is copied."""
    (tmp_path / "checkpoints").mkdir()
    reports: list[dict[str, Any]] = []
    agent, training = Agent(tmp_path), make_training(reports)
    training.watch_skrl(agent, str(tmp_path), first_timestep=0, total=64, rollouts=16)
    agent.write_checkpoint(timestep=48, timesteps=64)
    training.save_skrl(agent, str(tmp_path), 64)
    agent.write_checkpoint(timestep=64, timesteps=64)
    assert agent.written == [48]
    assert [report["step"] for report in reports] == [48, 64]


@pytest.mark.parametrize(
    ("arguments", "algorithm"),
    [
        ((), "PPO"),
        (("--algorithm", "MAPPO"), "MAPPO"),
        (("--algorithm=ippo",), "IPPO"),
        (("--agent", "skrl_mappo_cfg_entry_point"), "MAPPO"),
        (("agent.agent.experiment.directory=mappo",), "PPO"),
    ],
)
def test_policies_of_several_agents_are_tagged_and_not_offered_to_validate(
    arguments: tuple[str, ...], algorithm: str
) -> None:
    assert parameters.find_algorithm(arguments) == algorithm
    values = {"isaac_version": "3.0"}
    job = type("Job", (), {"trainer_args": arguments, "__getitem__": lambda _, name: values[name]})()
    assert bool(workload.derive_profile(job).outputs.evaluation) == (algorithm == "PPO")


@pytest.mark.parametrize("several", [False, True])
def test_a_reward_that_is_not_a_number_ends_the_training(monkeypatch: pytest.MonkeyPatch, several: bool) -> None:
    isnan = lambda rewards: SimpleNamespace(any=lambda: any(map(math.isnan, rewards)))  # noqa: E731
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(isnan=isnan))
    rewards = [1.0, 2.0]
    env = SimpleNamespace(step=lambda: (None, {"cart": [0.0], "pole": rewards} if several else rewards, None, None, {}))
    trainer = SimpleNamespace(env=env, environment_info="log")
    make_training([]).watch_steps(trainer)
    trainer.env.step()
    rewards[1] = math.nan
    with pytest.raises(ValueError, match="rewards that the environment returns contain NaN"):
        trainer.env.step()


def test_a_warm_start_leaves_out_the_optimizer_of_each_agent() -> None:
    parts = {"policy": {"net.0.weight": 1.0}, "optimizer": {"state": {}}}
    single = {**parts, "value": None}
    assert launcher.drop_optimizers(single) == {"policy": {"net.0.weight": 1.0}, "value": None}
    several = {"cart": dict(parts), "pendulum": dict(parts)}
    assert launcher.drop_optimizers(several) == {name: {"policy": {"net.0.weight": 1.0}} for name in several}
