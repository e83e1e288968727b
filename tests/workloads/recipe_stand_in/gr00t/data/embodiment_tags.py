"""Stands for Isaac-GR00T's embodiment tags."""


class EmbodimentTag:
    NEW_EMBODIMENT = "new_embodiment"
