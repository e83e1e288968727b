"""The trainings of a policy: its own, and those of what it was fine-tuned from, or went on from."""

from pathlib import Path
from typing import NamedTuple

from robotrain_workloads.lerobot_eval import same_dataset, trained
from robotrain_workloads.lerobot_eval.trained import Trained


class Ancestry(NamedTuple):
    """trainings: on the dataset that was asked about, the policy's own first. why: nobody knows even that one; empty
    when it is known. doubt: why an earlier one may have seen more than those that are known.
    """

    trainings: list[Trained]
    why: str = ""
    doubt: str = ""


def of(root: Path, model: Path) -> Ancestry:
    """root: the dataset. A checkpoint that a training went on from may be gone: both held out the same."""
    own, why = _told(root, model)
    if own is None:
        return Ancestry([], why)
    found = [own]
    while found[-1].begun:
        folder = _there(found[-1])
        if folder is None:
            return Ancestry(found, doubt="" if found[-1].resumed else _doubt(found[-1].begun, "it is not here"))
        if folder.resolve() in [one.model.resolve() for one in found]:
            break
        before, why = _told(root, folder)
        if before is None:
            return Ancestry(found, doubt=_doubt(str(folder), why))
        found.append(before)
    return Ancestry(found)


def _doubt(begun: str, why: str) -> str:
    return f"it was fine-tuned from {begun}, and whether that one saw them is not known: {why}"


def _told(root: Path, model: Path) -> tuple[Trained | None, str]:
    """The training that made a policy; None, and why, when nobody knows it, or it was on another dataset."""
    try:
        found = trained.read(model)
        if found is None:
            return None, f"the policy has no {trained.CONFIG} that says what it was trained on"
        if not same_dataset.same(root, model):
            return None, "the policy was trained on another dataset, as its statistics tell"
    except (OSError, ValueError) as error:
        return None, str(error)
    except (AttributeError, KeyError, TypeError):
        return None, "the statistics of the dataset, or of the policy, are not as LeRobot writes them"
    return found, ""


def _there(one: Trained) -> Path | None:
    """The folder that a training began with: where it lay, or, of a run that was brought here as a whole, beside it."""
    begun = Path(one.begun)
    beside = one.model.parent.with_name(begun.parent.name) / begun.name
    places = (begun, *((beside,) if one.resumed and begun.name == one.model.name else ()))
    return next((place for place in places if place.is_absolute() and place.is_dir()), None)
