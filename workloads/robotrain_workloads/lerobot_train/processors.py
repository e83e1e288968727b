"""For a start from weights alone: what stands before and behind the network is made for the new dataset.

LeRobot (0.6) loads it from the folder of the weights, and stops when it is not there.
"""

import functools
from types import ModuleType
from typing import Any

MAKE = "make_pre_post_processors"


def make_anew(trainer: ModuleType) -> None:
    """Let the trainer make its processors as for a new policy. Raises SystemExit when it makes them elsewhere."""
    original = getattr(trainer, MAKE, None)
    if original is None:
        raise SystemExit(
            f"error: this LeRobot's trainer has no {MAKE}: start from the whole policy, with --policy-path"
        )

    @functools.wraps(original)
    def anew(**named: Any) -> Any:
        renamed = named.get("preprocessor_overrides", {}).get("rename_observations_processor", {})
        made = original(**{**named, "pretrained_path": None, "pretrained_revision": None})
        for step in made[0].steps:
            if hasattr(step, "rename_map"):
                step.rename_map = dict(renamed.get("rename_map") or {})
        return made

    setattr(trainer, MAKE, anew)
