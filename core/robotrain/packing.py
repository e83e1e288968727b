"""Packing what travels with a job. A half that cannot be packed is the failure of the plugin that names it."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain import payload
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.claims import Claim
    from robotrain.payload import Payload


def pack(halves: Mapping[str, str]) -> Payload:
    """The runtime and the halves of a job, by what they stand for. Raises Rejected for halves that cannot be packed."""
    try:
        return payload.pack(halves.values())
    except Exception as cause:
        found = [problem for name, half in halves.items() if (problem := _wrong_with(name, half))]
        if not found:
            raise
        raise Rejected(found) from cause


def _wrong_with(name: str, half: str) -> Problem | None:
    try:
        payload.pack([half])
    except (Exception, SystemExit) as cause:  # to find a module Python imports the packages it lies in
        from robotrain.loading.failure import failed

        what = f"packing its container half {half}"
        if claim := _claim(name):
            return failed(claim, _of_a_file(claim, half, cause), what).problem()
        title = redact(f"{name} failed in {what}: {type(cause).__name__}: {cause}", longest=500)
        return Problem(code="plugin-failed", stage=Stage.SUBMIT, title=title)
    return None


def _claim(name: str) -> Claim | None:
    """Who brings what a half stands for; a place to write to is a source kind's."""
    from robotrain.loading import choice

    dotted = name.replace("target.", "source.", 1)
    return next((claim for claim in choice.plugins().claims if claim.dotted == dotted), None)


def _of_a_file(claim: Claim, half: str, cause: BaseException) -> BaseException:
    """A half of a plugin file that is not found is missing beside the file: there is nothing to install."""
    from robotrain.loading import file_point, ways

    missing = str(getattr(cause, "name", "")).partition(".")[0]
    if not file_point.from_file(claim) or missing != half.partition(".")[0]:
        return cause
    path = Path(claim.point.distribution).parent / f"{half.replace('.', '/')}.py"
    return ways.Unsuitable(f"there is no module {half}", Instead(str(path), "where it may lie, beside the plugin file"))
