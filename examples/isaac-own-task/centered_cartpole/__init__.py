"""A task for Isaac Lab 3.0: Isaac Lab's cart-pole, whose cart is to stay in the middle."""

import gymnasium

AGENTS = "isaaclab_tasks.core.cartpole.agents"

gymnasium.register(
    id="Cartpole-Centered-Direct",
    entry_point=f"{__name__}.environment:CenteredCartpole",
    disable_env_checker=True,
    kwargs={
        "env_cfg_entry_point": f"{__name__}.environment:CenteredCartpoleCfg",
        "rsl_rl_cfg_entry_point": f"{__name__}.environment:AgentCfg",
        "skrl_cfg_entry_point": f"{AGENTS}:skrl_direct_ppo_cfg.yaml",
    },
)
