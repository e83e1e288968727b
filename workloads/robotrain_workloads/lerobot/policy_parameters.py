"""Parameters of a workload that stand for options of ACT after `--`. Standard library only."""

from collections.abc import Mapping
from typing import Any

OPTIONS = {
    **{
        name: f"--policy.{name}"
        for name in (
            *("chunk_size", "n_action_steps", "temporal_ensemble_coeff", "vision_backbone"),
            *("pretrained_backbone_weights", "dim_model", "n_heads", "dim_feedforward", "n_encoder_layers"),
            *("n_decoder_layers", "n_vae_encoder_layers", "use_vae", "latent_dim", "kl_weight", "dropout"),
        )
    },
    "lr_backbone": "--policy.optimizer_lr_backbone",
    "weight_decay": "--policy.optimizer_weight_decay",
}
"""The option of each parameter."""
ACTION_STEPS = "n_action_steps"


def list_options(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options that the parameters of a job stand for.

    Without a number of their own as many actions are done as are predicted, or one where predictions are averaged:
    LeRobot's number may be above that.
    """
    parameter_values = {name: parameters.get(name) for name in OPTIONS}
    if parameter_values[ACTION_STEPS] is None:
        is_averaged = parameter_values["temporal_ensemble_coeff"] is not None
        parameter_values[ACTION_STEPS] = 1 if is_averaged else parameter_values["chunk_size"]
    return tuple(
        f"{OPTIONS[name]}={_format_value(value)}" for name, value in parameter_values.items() if value is not None
    )


def _format_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
