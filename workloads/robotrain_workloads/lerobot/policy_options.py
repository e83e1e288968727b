"""Options that a trained policy decides, because its weights have the shape that they give. Standard library only."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_workloads.lerobot.options import get_option_value

NETWORK_OPTIONS: Mapping[str, Sequence[str]] = {
    "act": (
        *("chunk_size", "vision_backbone", "pre_norm", "dim_model", "n_heads", "dim_feedforward", "use_vae"),
        *("n_encoder_layers", "n_decoder_layers", "n_vae_encoder_layers", "latent_dim"),
    ),
    "diffusion": (
        *("n_obs_steps", "vision_backbone", "use_group_norm", "spatial_softmax_num_keypoints", "down_dims"),
        *("use_separate_rgb_encoder_per_camera", "kernel_size", "n_groups", "diffusion_step_embed_dim"),
        "use_film_scale_modulation",
    ),
}
"""By policy type, the settings of its network in LeRobot 0.6. With another value, LeRobot refuses the weights, or
leaves some out and only logs it.
"""

TRAINING_ONLY_OPTIONS = ("use_vae",)
"""Of these, the settings of a part that only training uses: a fine-tune may add it or leave it out, no resume may."""


def find_option_mismatches(
    settings: Mapping[str, Any], options: Sequence[str], *, is_resumed: bool = False
) -> Iterator[str]:
    """Yield one sentence for each option of the user that changes the network of a trained policy.

    :param settings: the policy's configuration.
    :param is_resumed: whether its training continues, with the state of its optimizer.
    """
    for name in NETWORK_OPTIONS.get(str(settings.get("type")), ()):
        if name in TRAINING_ONLY_OPTIONS and not is_resumed:
            continue
        option = f"--policy.{name}"
        text = get_option_value(options, option)
        if text is not None and name in settings and _parse_value(text) != settings[name]:
            saved = settings[name] if isinstance(settings[name], str) else json.dumps(settings[name])
            yield f"{option}={text} does not fit the policy, whose weights need {saved}\n-- {option}={saved}"


def _parse_value(text: str) -> Any:
    """Return the value of an option as JSON has it; a plain text as it is."""
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except ValueError:
        return text
