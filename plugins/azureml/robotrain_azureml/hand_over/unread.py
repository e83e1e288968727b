"""A job that Azure ML's SDK does not read, with the keys that it stumbles over: its errors are a page of text with JSON
in it, twice packed.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.problem import SENTENCE, Instead, Problem, Stage
from robotrain.redaction import redact
from robotrain_azure import sign_in

from robotrain_azureml.order import SPEC

UNKNOWN = ["Unknown field."]
_OF_A_VALUE = {"_schema", "value"}
"""What stands there in place of keys of the job."""


def problem(error: BaseException) -> Problem:
    """Nothing that the person typed is at fault: they changed the plan, or robotrain is."""
    keys = _keys(error)
    wrong = [
        f"{key} {'is no key that it knows' if unknown else 'holds nothing that it takes'}."
        for key, unknown in keys.items()
    ]
    whose = f"It is a plan that somebody changed, or a fault of robotrain ({type(error).__name__})."
    again = "renders it anew" if keys else "shows the job; please report it with its job.yaml"
    return Problem(
        code="azureml-job-not-read",
        stage=Stage.SUBMIT,
        title="Azure ML's SDK does not take the job of this plan",
        where=", ".join(f"{SPEC}: {key}" for key in keys),
        why=redact(" ".join(wrong), longest=SENTENCE) or whose,
        instead=(
            Instead("robotrain render … --to FOLDER", again),
            Instead("az ml job create -f FOLDER/job.yaml", "says what is wrong with it"),
        ),
    )


def _keys(error: BaseException) -> dict[str, bool]:
    """Each as `resources.colour`, and whether the SDK knows no such key; empty where the error does not say."""
    return next(filter(None, (dict(sorted(_of_text(str(one)))) for one in sign_in.behind(error))), {})


def _of_text(text: str) -> Iterator[tuple[str, bool]]:
    start = text.find("{")
    try:
        told, _ = json.JSONDecoder().raw_decode(text, start) if start >= 0 else ({}, 0)
    except ValueError:
        return
    if "errors" not in told:
        yield from _below(told, ())
    else:
        for one in told["errors"]:
            yield from _of_text(str(one.get("message") or ""))


def _below(told: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    for name, value in told.items():
        if isinstance(value, Mapping) and not _OF_A_VALUE & value.keys():
            yield from _below(value, (*above, name))
        else:
            yield ".".join((*above, name)), value == UNKNOWN
