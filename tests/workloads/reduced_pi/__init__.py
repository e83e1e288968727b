"""π0, π0.5 and π0-FAST with a network of 1 MB: `--policy.discover_packages_path=reduced_pi`, with PYTHONPATH.

No option of LeRobot makes them smaller than 3 billion parameters: widths, depths, the vision tower and 257,152 words
are written in their code. So this package reduces the tables that the code reads; the rest is LeRobot's own.
"""

from __future__ import annotations

import importlib

WORDS = 1024
WIDTH = 32
VISION = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def reduce_module(module) -> None:
    """Replace what a `modeling_pi…` module builds its networks with; its attention needs eight heads."""
    original_config = module.get_gemma_config

    def get_gemma_config(variant: str):
        config = original_config(variant)
        config.width, config.depth, config.mlp_dim, config.head_dim = WIDTH, 1, 32, 8
        return config

    class ReducedPaliGemma(module.PaliGemmaForConditionalGenerationWithPiGemma):
        def __init__(self, config):
            config.text_config.vocab_size = WORDS
            config.projection_dim = config.vision_config.projection_dim = WIDTH
            for name, value in VISION.items():
                setattr(config.vision_config, name, value)
            super().__init__(config)

    module.get_gemma_config = get_gemma_config
    module.PaliGemmaForConditionalGenerationWithPiGemma = ReducedPaliGemma
    if not hasattr(module, "PiGemmaForCausalLM"):  # π0-FAST has no action expert
        return

    class ReducedExpert(module.PiGemmaForCausalLM):
        def __init__(self, config):
            config.vocab_size = WORDS
            super().__init__(config)

    module.PiGemmaForCausalLM = ReducedExpert


for name in ("pi0", "pi05", "pi0_fast"):
    reduce_module(importlib.import_module(f"lerobot.policies.{name}.modeling_{name}"))
