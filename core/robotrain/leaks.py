"""Secrets that a plugin says: not shown, not kept, not sent. What holds none is left as it was said."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import re
from typing import TYPE_CHECKING

from robotrain.problem import Instead, Problem, Rejected, Stage, Unanswered
from robotrain.redaction import holds_secret, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from robotrain.plan import Plan

PACKED = r"[A-Za-z0-9+/]{200,}={0,2}"
"""A file as base64, in which anything may be found by chance; no secret that is known by its look is as long."""


def in_plan(plan: Plan) -> Iterator[Problem]:
    """The first text of a plan that holds a secret: it would be kept, shown and sent."""
    for path, content in sorted(plan.files.items()):
        if _text_holds(content):
            yield _problem(f"platform {plan.platform} failed in render: its {redact(path)} holds a secret")
            return


def in_checkpoint(kind: str, uri: str, platform: str) -> Iterator[Problem]:
    """An address with a secret, which another job would carry on."""
    if holds_secret(uri):
        yield _problem(f"platform {platform} failed in outputs: its address of a {redact(kind)} holds a secret")


def free_reference(reference: Mapping[str, str], platform: str) -> Mapping[str, str]:
    """The same. Raises Unanswered for one with a secret: it would be kept, and the engine may have the run."""
    if any(holds_secret(text) for pair in reference.items() for text in pair):
        raise Unanswered([_problem(f"platform {platform} failed: its reference to the run holds a secret")])
    return reference


def refuse(problems: Iterator[Problem]) -> None:
    """Raise Rejected with them, if there are any."""
    if found := list(problems):
        raise Rejected(found)


def _text_holds(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return "\0" not in text and holds_secret(re.sub(PACKED, "", text))


def _problem(title: str) -> Problem:
    return Problem(
        code="plugin-failed",
        stage=Stage.SUBMIT,
        title=title,
        why="Plans and records are kept, shown and sent: they hold the name of a secret at most.",
        instead=(Instead("robotrain plugins", "says who brings it"),),
    )
