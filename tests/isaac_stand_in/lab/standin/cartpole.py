"""A cart-pole of many environments in torch, with the surface of Isaac Lab's environments."""

import os
import time

import gymnasium as gym
import torch

STEPS = int(os.environ.get("STANDIN_STEPS", "250"))
STEP_SECONDS = float(os.environ.get("STANDIN_STEP_SECONDS", "0"))


class TerminationManager:
    """Isaac Lab's: which terms ended an episode. `success` is there with STANDIN_SUCCESS=timeout."""

    def __init__(self, names):
        self.active_terms = list(names)
        self.terms = {}

    def get_term(self, name):
        return self.terms[name]


class Cartpole(gym.Env):
    """4 observations, 1 action, 250 steps (STANDIN_STEPS); falls over at 1.2 rad.

    STANDIN_SUCCESS: `timeout` for an environment whose episodes succeed when the pole stood to the end; unset for one
    without the signal, as most locomotion tasks are.
    """

    step_dt, max_episode_length, device = 0.02, STEPS, "cpu"
    metadata = {"render_modes": [None, "rgb_array"], "render_fps": 50}  # noqa: RUF012

    def __init__(self, num_envs, seed, render_mode=None):
        self.num_envs, self.render_mode = num_envs, render_mode
        self.cfg = {"scene": {"num_envs": num_envs}}
        box = gym.spaces.Box(-float("inf"), float("inf"), (4,))
        self.single_observation_space = gym.spaces.Dict({"policy": box})
        self.single_action_space = gym.spaces.Box(-float("inf"), float("inf"), (1,))
        self.observation_space, self.action_space = self.single_observation_space, self.single_action_space
        self.state_space = None
        self.rng = torch.Generator().manual_seed(seed)
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long)
        self.x, self.log = self.fresh(num_envs), {}
        self.success = os.environ.get("STANDIN_SUCCESS") == "timeout"
        terms = ("time_out", "fell", *(("success",) if self.success else ()))
        self.termination_manager = TerminationManager(terms)

    def fresh(self, n):
        return (torch.rand(n, 4, generator=self.rng) - 0.5) * 0.4

    def seed(self, seed=-1):
        self.rng.manual_seed(seed)
        return seed

    def obs(self):
        return {"policy": self.x.clone()}

    def reset(self, seed=None, options=None):
        self.x = self.fresh(self.num_envs)
        self.episode_length_buf[:] = 0
        return self.obs(), {}

    def step(self, action):
        time.sleep(STEP_SECONDS)
        p, v, th, w = self.x.unbind(1)
        force = 10 * action.view(-1).clamp(-1, 1)
        acc = (9.8 * th.sin() - th.cos() * force / 1.1) / (0.5 * (4 / 3 - 0.1 * th.cos() ** 2 / 1.1))
        w2, v2 = w + acc * self.step_dt, v + force / 1.1 * self.step_dt
        self.x = torch.stack([p + v2 * self.step_dt, v2, th + w2 * self.step_dt, w2], 1)
        self.episode_length_buf = self.episode_length_buf + 1
        fell = (self.x[:, 2].abs() > 1.2) | (self.x[:, 0].abs() > 3)
        timeout = (self.episode_length_buf >= self.max_episode_length) & ~fell
        reward = 1 - self.x[:, 2].abs() - 0.05 * self.x[:, 0].abs() - 2.0 * fell
        self.termination_manager.terms = {"time_out": timeout, "fell": fell}
        if self.success:
            self.termination_manager.terms["success"] = timeout
        done = fell | timeout
        if done.any():  # Isaac Lab keeps the last reset's log in the extras of every step
            alive = self.episode_length_buf[done].float().mean() / self.max_episode_length
            self.log = {
                "Episode_Reward/alive": alive,
                "Episode_Termination/fell": fell.sum().item(),
                "Episode_Termination/time_out": timeout.sum().item(),
            }
            self.x[done] = self.fresh(int(done.sum()))
            self.episode_length_buf[done] = 0
        return self.obs(), reward, fell, timeout, {"log": self.log, "time_outs": timeout}

    def render(self):
        """Return a picture of the first pole: 64 x 96 x 3, uint8."""
        picture = torch.full((64, 96, 3), 255, dtype=torch.uint8)
        p, _, th, _ = self.x[0]
        foot = 48 + p.item() * 12
        for length in range(40):
            row = int(60 - length * torch.cos(th).item())
            column = int(foot + length * torch.sin(th).item())
            if 0 <= row < 64 and 0 <= column < 96:
                picture[row, column] = torch.tensor([200, 40, 40], dtype=torch.uint8)
        return picture.numpy()


class VideoRecorder:
    """Writes `rl-video-step-N.mp4`, as gymnasium's RecordVideo does for Isaac Lab's scripts."""

    def __init__(self, env, folder, length, every):
        self.env, self.folder, self.length, self.every = env, folder, length, every
        self.steps, self.start, self.frames = 0, 0, []

    def __getattr__(self, name):
        return getattr(self.env, name)

    @property
    def unwrapped(self):
        return self.env

    def reset(self, **keywords):
        return self.env.reset(**keywords)

    def step(self, action):
        if self.steps == 0 or (self.every and self.steps % self.every == 0):
            self.start, self.frames = self.steps, [self.env.render()]
        answer = self.env.step(action)
        self.steps += 1
        if self.frames:
            self.frames.append(self.env.render())
            if len(self.frames) > self.length:
                self._write()
        return answer

    def _write(self):
        import imageio.v2 as imageio

        os.makedirs(self.folder, exist_ok=True)
        name = os.path.join(self.folder, f"rl-video-step-{self.start}.mp4")
        imageio.mimwrite(name, self.frames[: self.length], fps=50, macro_block_size=1)
        self.frames = []


def make_env(num_envs, seed, video="", length=200, every=0):
    env = Cartpole(num_envs, seed, "rgb_array" if video else None)
    return VideoRecorder(env, video, length, every) if video else env
