"""The version of a model that something already is, and the next one where it is none."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Callable
from typing import TYPE_CHECKING

from robotrain_runtime.event import Registered
from robotrain_runtime.publish import same_model, score_tags

if TYPE_CHECKING:
    from robotrain_azure.registering.told import Told
    from robotrain_azure.tracking.models import Models


def made(models: Models, name: str, step: int, told: Told, create: Callable[[], str]) -> Registered:
    """The version; one that is there gets the scores. create: makes the next one. Raises ArmError."""
    if not (found := same_model.newest(models.versions(name), told.tags, by_name=not told.scores)):
        return _registered(name, create(), step)
    number, has = found
    if told.scores:
        models.tag(name, number, score_tags.instead_of(has, told.scores))
    replaced = score_tags.replaced(has, told.scores)
    return _registered(name, number, step, new=False, replaced=replaced)


def _registered(name: str, number: str, step: int, *, new: bool = True, replaced: str = "") -> Registered:
    uri = f"models:/{name}/{number}"
    return Registered(name=name, version=number, step=step, uri=uri, new=new, replaced=replaced)
