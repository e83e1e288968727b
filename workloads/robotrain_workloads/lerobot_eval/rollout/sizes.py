"""The size in which an environment draws what a policy sees: LeRobot's, so that numbers agree with lerobot-eval."""

from collections.abc import Mapping, Sequence
from typing import Any

from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.rollout import fitting

NAMES = ("observation_height", "observation_width")
Size = tuple[int, ...]
"""Height and width."""


def asked(options: Sequence[str], config: Any) -> dict[str, int]:
    """What a person said of it, for Gymnasium: LeRobot's configuration takes these, and does not pass them on."""
    said = {option.removeprefix("--env.").partition("=")[0] for option in options}
    return {name: getattr(config, name) for name in NAMES if name in said}


def keywords(size: Size) -> dict[str, int]:
    """A size, for Gymnasium."""
    return dict(zip(NAMES, size, strict=True))


def read(loaded: Loaded) -> Size:
    """That of the first picture that the policy reads; empty when it reads none."""
    shapes = fitting.shapes(loaded.policy.config.input_features)
    return next((shape[1:] for name, shape in shapes.items() if fitting.is_picture(name)), ())


def shown(batch: Mapping[str, Any]) -> Size:
    """That of the first picture of a batch; empty when there is none."""
    return next((tuple(value.shape[-2:]) for name, value in batch.items() if fitting.is_picture(name)), ())


def as_lerobot_draws(shown: Size, read: Size) -> str:
    """That the policy sees another size than its configuration says."""
    options = " ".join(f"--env.{name}={length}" for name, length in keywords(read).items())
    return (
        f"pictures are {_said(shown)}, as LeRobot's environment draws them; the policy's configuration says"
        f" {_said(read)}: -- {options} draws them so"
    )


def as_read(shown: Size, read: Size) -> str:
    """That the policy cannot see the size that LeRobot draws."""
    return f"pictures are drawn {_said(read)}, as the policy reads them: it cannot act on LeRobot's {_said(shown)}"


def _said(size: Size) -> str:
    return "x".join(map(str, size))
