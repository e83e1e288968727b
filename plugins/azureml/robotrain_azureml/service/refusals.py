"""What Azure refused, or could not be asked, as a problem: a sentence, and what to type."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import re
from typing import TYPE_CHECKING

from robotrain.problem import SENTENCE, Instead, Problem, Rejected, Stage
from robotrain.redaction import redact
from robotrain_azure import refusal
from robotrain_azure.arm import PASSING, UNREACHABLE, ArmError
from robotrain_azure.refusal import Refusal

from robotrain_azureml.service import refusals_storage

if TYPE_CHECKING:
    from robotrain_azure.workspace import Workspace

    from robotrain_azureml.service.datastore import StorageError
    from robotrain_azureml.service.signed_blob import BlobError

CODES = {
    "missing": "azureml-missing",
    "role": "azureml-not-allowed",
    "signed-out": "azureml-signed-out",
    "other": "azureml-refused",
}
SAYS_ALL = ("missing", "role")
"""What is wrong is a place, or who asks, whatever was to be done."""
ABOVE = ("SubscriptionNotFound", "ResourceGroupNotFound")
BELOW = r"workspaces/[^/']+/"
"""In Azure's words for what is not there: something of a workspace, and not the workspace."""


class Refused(Rejected):
    """A request that came to nothing."""

    def __init__(self, problem: Problem, passing: bool) -> None:
        super().__init__([problem], passing=passing)


def of(error: ArmError | StorageError | BlobError, at: Workspace, doing: str, stage: Stage = Stage.SUBMIT) -> Refused:
    """doing: what came to nothing, behind the words `could not`."""
    told = _of_azure(error, at) if isinstance(error, ArmError) else refusals_storage.of(error, at)
    problem = Problem(
        code="azureml-unreachable" if told.network else CODES[told.kind],
        stage=stage,
        title=told.title if told.kind in SAYS_ALL else f"could not {doing}",
        why=redact(told.why, longest=SENTENCE),
        instead=tuple(Instead(way) for way in told.ways),
    )
    return Refused(problem, is_passing(error))


def is_below(error: ArmError) -> bool:
    """Whether the workspace is there, and what was asked of it is not. A 404 without a code is no word of Azure's."""
    if error.status != 404 or not error.code or error.code in ABOVE:
        return False
    return error.code != "ResourceNotFound" or re.search(BELOW, str(error)) is not None


def is_passing(error: ArmError | StorageError | BlobError) -> bool:
    """Whether the same may work in a while: no network, a service that is down or busy."""
    return error.status in PASSING or error.code == UNREACHABLE


def _of_azure(error: ArmError, at: Workspace) -> Refusal:
    if is_below(error) or (error.status == 404 and not error.code):
        return Refusal(kind="other", title="", why=f"{error}.", ways=())
    return refusal.of(error, at)
