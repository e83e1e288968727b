"""The environment of Cartpole-Centered-Direct, its configuration, and that of its agent."""

import torch
from isaaclab.utils import configclass
from isaaclab_tasks.core.cartpole.agents.rsl_rl_ppo_cfg import CartpoleDirectPPORunnerCfg
from isaaclab_tasks.core.cartpole.cartpole_direct_env import CartpoleEnv
from isaaclab_tasks.core.cartpole.cartpole_direct_env_cfg import CartpoleEnvCfg


@configclass
class CenteredCartpoleCfg(CartpoleEnvCfg):
    """Isaac Lab's configuration, with a cost for each meter from the middle."""

    rew_scale_cart_pos: float = -0.5


@configclass
class AgentCfg(CartpoleDirectPPORunnerCfg):
    """Isaac Lab's agent of rsl_rl, with a folder of its own."""

    experiment_name = "cartpole_centered"


class CenteredCartpole(CartpoleEnv):
    """A cart-pole whose cart is to stay in the middle."""

    cfg: CenteredCartpoleCfg

    def _get_rewards(self) -> torch.Tensor:
        """Return the rewards of shape (environments,): those of Isaac Lab, less the cost of the distance."""
        distance = self.joint_pos[:, self._cart_dof_idx].abs().sum(dim=-1)
        return super()._get_rewards() + self.cfg.rew_scale_cart_pos * distance * self.step_dt
