"""The version of a model that something already is, and the next one where it is none."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain_runtime.event import Registered
from robotrain_runtime.publish import score_tags

from robotrain_azure.heard import MODEL_DIGEST
from robotrain_azure.registering.told import CHECKPOINT, DIGEST, RUN

if TYPE_CHECKING:
    from robotrain_azure.registering.told import Told
    from robotrain_azure.tracking.models import Models

SAME = ((MODEL_DIGEST,), (DIGEST,), (RUN, CHECKPOINT))
"""Tags by which a version is the same model: its bytes, else those of the whole checkpoint, else its run and step."""
Version = tuple[str, Mapping[str, str]]


def made(models: Models, name: str, step: int, told: Told, create: Callable[[], str]) -> Registered:
    """The version; one that is there gets the scores. create: makes the next one. Raises ArmError."""
    if not (found := _there(models, name, told.tags)):
        return _registered(name, create(), step)
    number, has = found
    if told.scores:
        models.tag(name, number, score_tags.instead_of(has, told.scores))
    replaced = has.get(score_tags.BY, "") if told.scores else ""
    return _registered(name, number, step, new=False, replaced=replaced)


def _registered(name: str, number: str, step: int, *, new: bool = True, replaced: str = "") -> Registered:
    uri = f"models:/{name}/{number}"
    return Registered(name=name, version=number, step=step, uri=uri, new=new, replaced=replaced)


def _there(models: Models, name: str, tags: Mapping[str, str]) -> Version | None:
    """The newest that is it, and its tags."""
    newest = sorted(models.versions(name), key=lambda one: int(one[0]) if one[0].isdecimal() else 0, reverse=True)
    return next((one for names in SAME for one in _same(newest, tags, names)), None)


def _same(found: list[Version], tags: Mapping[str, str], names: tuple[str, ...]) -> Iterator[Version]:
    return (one for one in found if all(name in tags and one[1].get(name) == tags[name] for name in names))
