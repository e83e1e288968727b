"""A shelf as a place to write to; nothing is written here."""

from pathlib import Path

from robotrain_runtime.plugin import ContainerContext, PythonEnvironment, TargetInspection

ENVIRONMENT = PythonEnvironment(lock=Path("lock.txt"), python="3.12", gib=0.1)


def normalize(address: str) -> str:
    return address.rstrip("/") if address.startswith("shelf:///") else ""


def inspect(address: str, place: ContainerContext) -> TargetInspection:
    return TargetInspection() if place.python is None else TargetInspection(problems=("Nobody can tell.",))


def open(address: str, place: ContainerContext) -> None:
    raise OSError("It is closed.")
