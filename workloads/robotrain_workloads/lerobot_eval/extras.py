"""Types of policies that need more than the locked environment of evaluations holds. Standard library only."""

from collections.abc import Iterator

from robotrain_workloads.lerobot_train.versions import LEROBOT

LACKING = "transformers"
NEED_IT = (
    *("eo1", "fastwam", "groot", "lingbot_va", "molmoact2", "multi_task_dit", "pi0", "pi05", "pi0_fast", "smolvla"),
    *("vla_jepa", "wall_x", "xvla"),
)
"""As LeRobot says when it makes one of them."""
OWN = "--environment PATH, which the platform local takes, names one of your own that does"


def lacking(kind: object, environment: str | None) -> Iterator[str]:
    """A sentence for a policy that cannot be loaded. environment: the person's own, of which nothing is known here."""
    if kind in NEED_IT and environment is None:
        yield sentence(f"LeRobot {LEROBOT}'s {kind}", LACKING)


def sentence(what: str, package: str) -> str:
    """What needs it, and the way out."""
    return f"{what} needs {package}, which the locked environment of evaluations does not hold: {OWN}"
