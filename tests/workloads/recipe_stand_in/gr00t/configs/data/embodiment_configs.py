"""Stands for Isaac-GR00T's registry of modality configs."""

MODALITY_CONFIGS = {}


def register_modality_config(config, embodiment_tag):
    assert set(config) == {"video", "state", "action", "language"}
    MODALITY_CONFIGS[embodiment_tag] = config
