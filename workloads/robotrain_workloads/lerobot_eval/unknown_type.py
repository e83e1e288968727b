"""Whether LeRobot knows a type of policies; else which ones it knows."""

from collections.abc import Iterable

from robotrain_workloads.lerobot_train.versions import LEROBOT


def refuse(kind: object, known: Iterable[str], name: object) -> None:
    """Raises ValueError with a sentence for a type that is not among the known ones. name: of the policy."""
    types = sorted(known)
    if kind not in types:
        there = ", ".join(types)
        raise ValueError(f"{name} is of type {kind}, which LeRobot {LEROBOT} does not know; it knows {there}")
