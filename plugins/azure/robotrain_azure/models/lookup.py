"""Where the files of a model lie: its version is asked of Azure's resource manager, then the datastore it lies in."""

import difflib
from collections.abc import Sequence
from typing import Any

from robotrain_sources.fetching.answer import Refused

from robotrain_azure import refusal
from robotrain_azure.arm import Arm, ArmError
from robotrain_azure.models import stored
from robotrain_azure.models.named import Named
from robotrain_azure.models.stored import InDatastore, Stored
from robotrain_azure.workspace import Workspace

VERSION = "2024-04-01"
WHOLE = ("ResourceNotFound", "ResourceGroupNotFound", *refusal.UNSEEN)
"""What Azure says when there is no such workspace at all."""
MOST_TOLD = 5


def folder(arm: Arm, model: Named) -> str:
    """The blob URL of the folder. Raises Refused."""
    try:
        uri = _uri(arm, model)
        found = stored.read(uri, model.at)
        if found is None:
            raise Refused(f"{_told(model)} lies where no blobs are: {uri.partition('?')[0]}", "configuration")
        return _url(arm, found, model)
    except ArmError as error:
        raise refused(error, model.at) from error


def refused(error: ArmError, at: Workspace) -> Refused:
    """What Azure's resource manager answered, or did not."""
    told = refusal.of(error, at)
    sentence = f"{told.title}: {told.why}" if told.why else told.title
    return Refused("\n".join((sentence, *told.ways[:1])), "network" if told.network else "configuration")


def _uri(arm: Arm, model: Named) -> str:
    """As the workspace has it. Raises ArmError, Refused."""
    try:
        version = arm.get(f"{_models(model)}/{model.name}/versions/{model.version}", VERSION)
    except ArmError as error:
        if not _is_missing(error):
            raise
        raise _missing(arm, model) from error
    return str((version.get("properties") or {}).get("modelUri") or "")


def _missing(arm: Arm, model: Named) -> Refused:
    """That there is no such version, and what there is."""
    at = f"the Azure ML workspace {model.at.name}"
    try:
        there = [str(one["name"]) for one in arm.all(f"{_models(model)}/{model.name}/versions", VERSION)]
    except ArmError as error:
        if not _is_missing(error):
            raise
        there = []
    if there:
        newest = sorted(there, key=lambda number: (len(number), number))[-MOST_TOLD:]
        return Refused(
            f"{at} has no version {model.version} of {model.name}; it has {', '.join(newest)}", "configuration"
        )
    near = _near(model.name, sorted(str(one["name"]) for one in arm.all(_models(model), VERSION)))
    told = f"it has {', '.join(near)}" if near else "it has none at all"
    return Refused(f"{at} has no model {model.name}; {told}", "configuration")


def _near(wanted: str, there: Sequence[str]) -> Sequence[str]:
    return difflib.get_close_matches(wanted, there, n=MOST_TOLD) or there[:MOST_TOLD]


def _url(arm: Arm, found: Stored, model: Named) -> str:
    if isinstance(found, str):
        return found
    try:
        place = found if isinstance(found, InDatastore) else _output(arm, found)
        told = arm.get(f"{place.at.resource}/datastores/{place.datastore}", VERSION).get("properties") or {}
    except ArmError as error:
        if not _is_missing(error):
            raise
        raise Refused(f"where {_told(model)} lay is not there any more: {error}", "data") from error
    if url := stored.url(told, place.path):
        return url
    why = f"{_told(model)} lies in the datastore {place.datastore}, which holds no blobs of Azure's public cloud"
    raise Refused(why, "configuration")


def _output(arm: Arm, found: stored.OfJob) -> InDatastore:
    """The datastore of an output that has a name."""
    job: dict[str, Any] = arm.get(f"{found.at.resource}/jobs/{found.job}", VERSION).get("properties") or {}
    said = str(((job.get("outputs") or {}).get(found.output) or {}).get("uri") or "")
    return stored.of_output(found, said)


def _is_missing(error: ArmError) -> bool:
    """Whether a part of the workspace is not there; the workspace itself is."""
    return error.status == 404 and error.code not in WHOLE


def _models(model: Named) -> str:
    return f"{model.at.resource}/models"


def _told(model: Named) -> str:
    return f"the model {model.name} version {model.version}"
