"""The configurations of the agents, as Isaac Lab's tasks register them."""

TASKS = {"Isaac-Cartpole-v0": "mlp", "Isaac-Cartpole-Recurrent-v0": "lstm"}


def rsl_cfg(kind):
    rnn = {} if kind == "mlp" else {"rnn_type": kind, "rnn_hidden_dim": 32, "rnn_num_layers": 1}
    algorithm = dict(
        class_name="PPO",
        num_learning_epochs=5,
        num_mini_batches=4,
        learning_rate=1e-3,
        schedule="adaptive",
        gamma=0.99,
        lam=0.95,
        entropy_coef=0.005,
        desired_kl=0.01,
        max_grad_norm=1.0,
        value_loss_coef=1.0,
        use_clipped_value_loss=True,
        clip_param=0.2,
        normalize_advantage_per_mini_batch=False,
        rnd_cfg=None,
        symmetry_cfg=None,
    )
    cfg = dict(
        seed=42,
        device="cpu",
        num_steps_per_env=16,
        max_iterations=150,
        clip_actions=None,
        save_interval=50,
        experiment_name="cartpole",
        run_name="",
        logger="tensorboard",
        resume=False,
        load_run=".*",
        load_checkpoint="model_.*.pt",
        class_name="OnPolicyRunner",
        algorithm=algorithm,
    )
    return cfg | dict(
        obs_groups={"policy": ["policy"], "critic": ["policy"]},
        policy=dict(
            class_name="ActorCritic" if kind == "mlp" else "ActorCriticRecurrent",
            init_noise_std=1.0,
            noise_std_type="scalar",
            actor_obs_normalization=True,
            critic_obs_normalization=True,
            actor_hidden_dims=[32, 32],
            critic_hidden_dims=[32, 32],
            activation="elu",
            **rnn,
        ),
    )


def skrl_cfg(kind):
    def net(role):
        layers = [{"name": "net", "input": "STATES", "layers": [32, 32], "activations": "elu"}]
        base = {"clip_actions": False, "network": layers}
        if role == "policy":
            return {
                "class": "GaussianMixin",
                "clip_log_std": True,
                "min_log_std": -20.0,
                "max_log_std": 2.0,
                "initial_log_std": 0.0,
                "output": "ACTIONS",
                **base,
            }
        return {"class": "DeterministicMixin", "output": "ONE", **base}

    agent = {
        "class": "PPO",
        "rollouts": 16,
        "learning_epochs": 5,
        "mini_batches": 4,
        "learning_rate": 1e-3,
        "learning_rate_scheduler": "KLAdaptiveLR",
        "learning_rate_scheduler_kwargs": {"kl_threshold": 0.01},
        "state_preprocessor": "RunningStandardScaler",
        "state_preprocessor_kwargs": None,
        "value_preprocessor": "RunningStandardScaler",
        "value_preprocessor_kwargs": None,
        "random_timesteps": 0,
        "learning_starts": 0,
        "grad_norm_clip": 1.0,
        "ratio_clip": 0.2,
        "value_clip": 0.2,
        "entropy_loss_scale": 0.0,
        "value_loss_scale": 2.0,
        "kl_threshold": 0.0,
        "time_limit_bootstrap": False,
        "experiment": {
            "directory": "cartpole",
            "experiment_name": "",
            "write_interval": "auto",
            "checkpoint_interval": "auto",
        },
    }
    agent |= {"discount_factor": 0.99, "lambda": 0.95, "clip_predicted_values": True}
    return {
        "seed": 42,
        "models": {"separate": False, "policy": net("policy"), "value": net("value")},
        "memory": {"class": "RandomMemory", "memory_size": -1},
        "agent": agent,
        "trainer": {"class": "SequentialTrainer", "timesteps": 2400, "environment_info": "log"},
    }
